"""`sluice policy`: policies in WebAssembly, before they serve."""

import json
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.markup import escape

from sluice_cli import exits, module_testing
from sluice_cli.client import Json
from sluice_cli.errors import usage
from sluice_cli.options import Output, OutputFormat, prints_data
from sluice_cli.terminal import out, print_data

app = typer.Typer(no_args_is_help=True, help="Policies in WebAssembly, before they serve.")


class Kind(StrEnum):
    """How a module is called."""

    CORE = "core"
    WASI = "wasi"


class Language(StrEnum):
    """What a policy is written in."""

    RUST = "rust"
    GO = "go"
    C = "c"


Module = Annotated[Path, typer.Argument(help="The module, a .wasm file.", show_default=False)]
Kinds = Annotated[Kind | None, typer.Option("--kind", help="How the module is called.", show_default=False)]
Settings = Annotated[
    str, typer.Option(help="The policy's settings: JSON, or a YAML or JSON file.", show_default=False)
]
Timeout = Annotated[str, typer.Option(help="The most that one call may take.", show_default="50ms")]
Memory = Annotated[
    int | None, typer.Option(min=1, max=256, help="The most memory of one call, MiB.", show_default="16")
]


@app.command("test")
@prints_data
def run_cases(
    module: Module,
    cases: Annotated[Path, typer.Argument(help="Cases, a YAML file.", show_default=False)],
    settings: Settings = "",
    kind: Kinds = None,
    timeout: Timeout = "",
    memory: Memory = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Run a module over cases, as the guardrail would: the same runtime, the same limits.

    Options go before what the file of cases says.

    Exits 0 when all hold, 1 when one does not or the module would not load, 2 when the files are wrong.
    """
    report = module_testing.run_cases(module, cases, _fields(settings, kind, timeout, memory))
    if output is OutputFormat.TABLE:
        for line in module_testing.case_lines(report):
            out.print(line)
    else:
        print_data(report, output)
    if report["refused"] or not all(case["passed"] for case in report["cases"]):
        raise typer.Exit(exits.FAILED)


@app.command("inspect")
@prints_data
def inspect(
    module: Module,
    settings: Settings = "",
    kind: Kinds = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Say what a module is, and whether it would load; with --settings, whether it takes them.

    Exits 0 when it would, 1 when it would not, 2 when there is no such file.
    """
    report = module_testing.inspect(module, _fields(settings, kind))
    if output is OutputFormat.TABLE:
        for line in module_testing.inspection_lines(report):
            out.print(line)
    else:
        print_data(report, output)
    if report["refused"]:
        raise typer.Exit(exits.FAILED)


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="A folder, new or empty.", show_default=False)],
    language: Annotated[Language, typer.Option(help="What to write it in.")] = Language.RUST,
) -> None:
    """Begin a policy: a small one that works, its cases, and a Makefile that builds and tests it.

    Exits 2 when the folder holds something.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise usage(f"{folder} is not empty")
        shutil.copytree(Path(__file__).parents[1] / "scaffolds" / language, folder, dirs_exist_ok=True)
    except OSError as error:
        raise usage(f"{folder}: {error.strerror or error}") from None
    out.print(
        f"{escape(str(folder))} holds a policy; `make -C {escape(str(folder))}` builds it and runs its cases"
    )


def _fields(settings: str, kind: Kind | None, timeout: str = "", memory: int | None = None) -> Json:
    """The policy's fields that are given."""
    given = {
        "settings": _read(settings) if settings else None,
        "kind": kind,
        "timeout": timeout or None,
        "memory": memory,
    }
    return {name: value for name, value in given.items() if value is not None}


def _read(settings: str) -> object:
    try:
        if settings.lstrip().startswith("{"):
            return json.loads(settings)
        return yaml.safe_load(Path(settings).read_text(encoding="utf-8"))
    except OSError as error:
        raise usage(f"--settings: {settings}: {error.strerror or error}") from None
    except (ValueError, yaml.YAMLError) as error:
        raise usage(f"--settings: {' '.join(str(error).split())}") from None
