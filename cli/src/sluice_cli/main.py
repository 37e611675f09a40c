"""The `sluice` command."""

import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from sluice_cli import exits
from sluice_cli.commands import (
    ask,
    audit,
    compiling,
    config,
    definitions,
    doctor,
    documents,
    experiments,
    feedback,
    guard,
    ingest,
    keys,
    policy,
    quickstart,
    rebuild,
    runs,
    search,
    status,
    up,
)
from sluice_cli.errors import CommandError
from sluice_cli.terminal import out, print_error

app = typer.Typer(
    name="sluice",
    help="Agentic RAG through three gates.\n\nExit codes: 0 done, 1 failed, 2 wrong use, 3 blocked by a gate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(quickstart.quickstart)
app.command()(up.up)
app.command()(status.status)
app.command()(doctor.doctor)
app.command()(ingest.ingest)
app.command()(rebuild.rebuild)
app.command()(ask.ask)
app.command()(search.search)
app.command()(guard.guard)
app.add_typer(documents.app, name="documents")
app.add_typer(runs.app, name="runs")
app.add_typer(audit.app, name="audit")
app.add_typer(policy.app, name="policy")
app.add_typer(config.app, name="config")
app.add_typer(experiments.app, name="experiments")
app.command()(feedback.feedback)
app.add_typer(keys.app, name="keys")
app.command("compile")(compiling.compile_command)
app.command()(definitions.crds)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(installed_version("sluice-cli"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Runs the command line. A `CommandError` ends it with its message and its exit code."""
    try:
        app()
    except CommandError as error:
        print_error(error)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone
        sys.stderr.close()
        sys.exit(exits.FAILED)
