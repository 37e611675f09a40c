"""A batch of texts from a file or stdin, its decisions to a file or stdout, and how it goes on meanwhile."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.markup import escape

from sluice_cli.errors import usage
from sluice_cli.guard_progress import Progress
from sluice_cli.guarding import Ask, Json, Line, Screened, lines, screen
from sluice_cli.options import OutputFormat
from sluice_cli.terminal import err, json_line, out, print_data

_STDIN = "-"

#: Failures that are listed one by one; the output has all of them.
_LISTED = 30


def run(ask: Ask, defaults: Json, source: Path, target: Path | None) -> Screened:
    """Screens each line of the source that the target does not hold yet.

    Returns:
        The counts over the whole target.

    Raises:
        CommandError: a file is wrong, or the gateway is away for too long.
    """
    if target is not None and target.exists() and source.exists() and target.samefile(source):
        raise usage("--out names the file that is read")
    screened = Screened()
    with _opened(source) as stream, _written(target, screened) as output, Progress(_size(source)) as progress:
        done = screened.texts
        if done:
            err.print(f"[dim]{done} lines are in {escape(str(target))} already[/]")
        found = _remaining(stream, done, progress, screened)
        for line, written in screen(found, defaults, ask):
            output.write(json_line(written).encode())
            output.flush()
            screened.add(written)
            _report(line, written, screened.failed)
            progress.advance(line.size, screened)
    return screened


def summarise(screened: Screened, output: OutputFormat, *, alone: bool) -> None:
    """What became of the texts.

    Args:
        alone: Nothing else goes to stdout.
    """
    content = screened.content
    if alone and output is not OutputFormat.TABLE:
        print_data(content, output)
        return
    counts = {**content["actions"], "not scanned whole": content["partial"], "failed": content["failed"]}
    parts = [f"{count} {words}" for words, count in counts.items() if count]
    times = ""
    if content["p50_ms"] is not None:
        times = f"; p50 {content['p50_ms']:.1f} ms, p95 {content['p95_ms']:.1f} ms"
    (out if alone else err).print(f"{content['texts']} texts: {', '.join(parts) or 'none'}{times}")


def _remaining(stream: BinaryIO, done: int, progress: Progress, screened: Screened) -> Iterator[Line]:
    """The lines after those that are done."""
    left = done
    for line in lines(stream):
        if left:
            left -= 1
            progress.advance(line.size, screened)
        else:
            yield line
    if left:
        raise usage("--out holds more lines than --jsonl", "it is of another batch; name another file")


def _report(line: Line, written: Json, failed: int) -> None:
    error = written["guard"].get("error")
    if error is not None and failed <= _LISTED:
        err.print(f"[red]not screened:[/] line {line.number}: {escape(error['message'])}")


@contextmanager
def _opened(source: Path) -> Iterator[BinaryIO]:
    if str(source) == _STDIN:
        yield sys.stdin.buffer
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise usage(f"{source}: {error.strerror or error}") from None
    with stream:
        yield stream


def _size(source: Path) -> int | None:
    """Bytes, where they are known."""
    return None if str(source) == _STDIN else source.stat().st_size


@contextmanager
def _written(target: Path | None, screened: Screened) -> Iterator[BinaryIO]:
    """Where to write. What is there is counted; a line that was broken off is removed."""
    if target is None:
        yield sys.stdout.buffer
        return
    try:
        stream = target.open("a+b")
    except OSError as error:
        raise usage(f"{target}: {error.strerror or error}") from None
    with stream:
        stream.seek(0)
        whole = 0
        for raw in stream:
            if not raw.endswith(b"\n"):
                break
            try:
                screened.add(json.loads(raw))
            except (ValueError, KeyError, TypeError):
                raise usage(f"{target}: line {screened.texts + 1} is none of this command's") from None
            whole += len(raw)
        stream.truncate(whole)
        yield stream
