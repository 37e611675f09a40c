"""`sluice guard`: what a policy makes of texts, outside of any run."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sluice_cli import exits
from sluice_cli.client import DEFAULT_URL, Api, Json, Target
from sluice_cli.errors import CommandError, usage
from sluice_cli.guard_batch import run, summarise
from sluice_cli.guard_rendering import decision_lines, detectors_table, span_lines
from sluice_cli.guarding import FAIL_ON, Screened
from sluice_cli.options import ApiKey, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.terminal import out, print_data

_PATH = "/v1/guard"
_STDIN = "-"


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
            screened = run(lambda body: api.post(_PATH, body), asked, jsonl, out_file)
            summarise(screened, output, alone=out_file is not None)
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


def _end(screened: Screened, fail_on: FailOn | None) -> None:
    if screened.failed:
        raise CommandError(f"lines that were not screened: {screened.failed}")
    if fail_on is not None and FAIL_ON[fail_on] & screened.actions.keys():
        raise typer.Exit(exits.BLOCKED)


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
