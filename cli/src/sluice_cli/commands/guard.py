"""`sluice guard`: what a policy makes of texts, outside of any run."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.markup import escape

from sluice_cli import exits
from sluice_cli.client import DEFAULT_URL, Api, Json, Target
from sluice_cli.errors import CommandError, usage
from sluice_cli.guard_progress import Progress
from sluice_cli.guard_rendering import decision_lines, detectors_table, span_lines
from sluice_cli.guarding import FAIL_ON, Line, Screened, lines, screen
from sluice_cli.options import ApiKey, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.terminal import err, json_line, out, print_data

_PATH = "/v1/guard"
_STDIN = "-"

#: Failures that are listed one by one; the output has all of them.
_LISTED = 30


class Channel(StrEnum):
    """Where a text comes from."""

    USER = "user"
    DOCUMENT = "document"
    TOOL = "tool"
    OUTPUT = "output"


class FailOn(StrEnum):
    """The least action that makes the command exit with 3."""

    BLOCK = "block"
    FLAG = "flag"


@prints_data
def guard(
    text: Annotated[str, typer.Argument(help="The text; - reads it from stdin.", show_default=False)] = "",
    channel: Annotated[Channel, typer.Option(help="Where the text comes from.")] = Channel.USER,
    policy: Annotated[
        str, typer.Option(help="The GuardrailPolicy; default, or the only one, if empty.", show_default=False)
    ] = "",
    context: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file with a passage that an output was made from, or with an earlier text. May be repeated.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    question: Annotated[str, typer.Option(help="For an output: what was asked.", show_default=False)] = "",
    jsonl: Annotated[
        Path | None,
        typer.Option(help="Screen each line of this file of JSON lines; - for stdin.", allow_dash=True),
    ] = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="With --jsonl: append to this file, and go on after what it holds."),
    ] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Exit with 3 where a text is blocked, or flagged at least.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show what a guard policy makes of a text, or of each line of a file.

    A line of JSON has `text`, and may have `channel`, `context`, `question` and `policy`, which go before the options.
    It is printed as it was, with the decision under `guard`; one that cannot be screened, with the error there.

    Exits 0 when all was screened, 1 when some lines were not, 2 on wrong use, 3 by --fail-on.
    """
    _check_use(text, jsonl, out_file)
    asked: Json = {"channel": channel, "policy": policy, "question": question}
    asked["context"] = [_text_of(file) for file in context or ()]
    with Api(Target(url, api_key, tenant)) as api:
        if jsonl is not None:
            screened = _batch(api, asked, jsonl, out_file, output)
            _end(screened, fail_on)
            return
        asked["text"] = _from_stdin() if text in ("", _STDIN) else text
        reply = api.post(_PATH, asked)
    if output is OutputFormat.TABLE:
        _show(reply, asked)
    else:
        print_data(reply, output)
    if fail_on is not None and reply["action"] in FAIL_ON[fail_on]:
        raise typer.Exit(exits.BLOCKED)


def _check_use(text: str, jsonl: Path | None, out_file: Path | None) -> None:
    if jsonl is not None and text:
        raise usage("give a text or --jsonl, not both")
    if jsonl is None and out_file is not None:
        raise usage("--out goes with --jsonl")


def _show(reply: Json, asked: Json) -> None:
    for line in decision_lines(reply):
        out.print(line)
    if reply["detectors"]:
        out.print(detectors_table(reply["detectors"]))
    passages = asked["context"] if asked["channel"] is Channel.OUTPUT else []
    for line in span_lines(reply["detectors"], asked["text"], passages):
        out.print(line)
    if "text" in reply:
        out.print(f"as it goes on: {escape(reply['text'])}")


def _batch(api: Api, asked: Json, source: Path, out_file: Path | None, output: OutputFormat) -> Screened:
    screened = Screened()
    with _opened(source) as (stream, size), _target(out_file) as (target, done):
        if done:
            err.print(f"[dim]{done} lines are in {escape(str(out_file))} already[/]")
        found = islice(lines(stream), done, None)
        with Progress(size) as progress:
            for line, written in screen(found, asked, lambda body: api.post(_PATH, body)):
                target.write(json_line(written).encode())
                target.flush()
                screened.add(written)
                _report(line, written, screened.failed)
                progress.advance(line.size, screened)
    _summarise(screened, to_file=out_file is not None, output=output)
    return screened


def _report(line: Line, written: Json, failed: int) -> None:
    error = written["guard"].get("error")
    if error is not None and failed <= _LISTED:
        err.print(f"[red]not screened:[/] line {line.number}: {escape(error['message'])}")


def _summarise(screened: Screened, *, to_file: bool, output: OutputFormat) -> None:
    """On stdout where that holds nothing else."""
    content = screened.content
    if to_file and output is not OutputFormat.TABLE:
        print_data(content, output)
        return
    parts = [f"{count} {action}" for action, count in content["actions"].items()]
    parts += [
        f"{content[name]} {words}"
        for name, words in (("partial", "not scanned whole"), ("failed", "failed"))
        if content[name]
    ]
    times = (
        ""
        if content["p50_ms"] is None
        else f"; p50 {content['p50_ms']:.1f} ms, p95 {content['p95_ms']:.1f} ms"
    )
    (out if to_file else err).print(f"{content['texts']} texts: {', '.join(parts) or 'none'}{times}")


def _end(screened: Screened, fail_on: FailOn | None) -> None:
    if screened.failed:
        raise CommandError(f"{screened.failed} lines were not screened")
    if fail_on is not None and FAIL_ON[fail_on] & screened.actions.keys():
        raise typer.Exit(exits.BLOCKED)


@contextmanager
def _opened(source: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """The stream, and its bytes where they are known."""
    if str(source) == _STDIN:
        yield sys.stdin.buffer, None
        return
    try:
        with source.open("rb") as stream:
            yield stream, os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise usage(f"{source}: {error.strerror or error}") from None


@contextmanager
def _target(out_file: Path | None) -> Iterator[tuple[BinaryIO, int]]:
    """Where to write, and how many whole lines are there; one that was broken off is removed."""
    if out_file is None:
        yield sys.stdout.buffer, 0
        return
    try:
        stream = out_file.open("a+b")
    except OSError as error:
        raise usage(f"{out_file}: {error.strerror or error}") from None
    with stream:
        stream.seek(0)
        whole, count = 0, 0
        for raw in stream:
            if not raw.endswith(b"\n"):
                break
            whole, count = whole + len(raw), count + 1
        stream.truncate(whole)
        yield stream, count


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"{file}: {getattr(error, 'strerror', None) or error}") from None


def _from_stdin() -> str:
    if sys.stdin.isatty():
        raise usage("there is no text", 'give one: sluice guard "…", or --jsonl FILE')
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise usage("the text on stdin is not UTF-8") from error
