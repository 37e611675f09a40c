"""Options that several commands share."""

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sluice_cli import completing
from sluice_cli.client import DEFAULT_URL


class OutputFormat(StrEnum):
    """How a command prints what it has found."""

    TABLE = "table"
    """For people: tables and text."""
    JSON = "json"
    YAML = "yaml"


Url = Annotated[
    str, typer.Option(envvar="SLUICE_URL", help="The gateway's address.", show_default=DEFAULT_URL)
]
ApiKey = Annotated[
    str, typer.Option(envvar="SLUICE_API_KEY", help="The API key, where keys are on.", show_default=False)
]
Tenant = Annotated[
    str,
    typer.Option(envvar="SLUICE_TENANT", help="The tenant, where keys are off.", show_default=False),
]
KnowledgeBase = Annotated[
    str, typer.Option("--kb", help="The knowledge base.", autocompletion=completing.knowledge_bases)
]
KnowledgeBases = Annotated[
    list[str] | None,
    typer.Option(
        "--kb",
        help="The knowledge base. May be repeated.",
        show_default="default",
        autocompletion=completing.knowledge_bases,
    ),
]
Model = Annotated[
    str, typer.Option("--model", help="The pipeline.", show_default=False, autocompletion=completing.models)
]
RunId = Annotated[str, typer.Argument(help="The run's id.", autocompletion=completing.runs)]
Output = Annotated[
    OutputFormat,
    typer.Option(
        "--output", "-o", envvar="SLUICE_OUTPUT", help="How to print it; json and yaml say the same."
    ),
]
"""Of commands that print data; `prints_data` adds `--json` to it."""
Data = Annotated[
    Path, typer.Option(envvar="SLUICE_DATA_DIR", help="The folder that holds everything Sluice keeps.")
]
Objects = Annotated[
    list[Path],
    typer.Option("--file", "-f", help="Objects: a YAML or JSON file, or a folder. May be repeated."),
]

DEFAULT_DATA = Path(".sluice")

_AS_JSON = Annotated[bool, typer.Option("--json", help="Short for --output json.")]


def prints_data(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command with the option `Output` the flag `--json` too; the command only sees the format."""

    @functools.wraps(command)
    def resolved(*, json: bool, output: OutputFormat, **given: Any) -> None:
        command(output=OutputFormat.JSON if json else output, **given)

    signature = inspect.signature(command, eval_str=True)
    flag = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_AS_JSON)
    # Typer reads a command's options from its signature.
    resolved.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), flag]
    )
    return resolved
