"""`sluice config`: what everything here runs by, or would."""

from typing import Annotated

import typer

from sluice_cli.options import DEFAULT_DATA, Data, Objects, Output, OutputFormat, prints_data

app = typer.Typer(no_args_is_help=True, help="The configuration in effect.")


@app.callback()
def _group() -> None:
    """Keeps `show` a command of its own while it is the only one."""


@app.command("show")
@prints_data
def show(
    context: typer.Context,
    file: Objects = [],  # noqa: B006 - typer reads it, nobody changes it
    data: Data = DEFAULT_DATA,
    process: Annotated[str, typer.Option(help="Only this process.")] = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show every setting of every process, and where its value comes from; secrets are redacted.

    Where `sluice up` runs on the data folder, that is what its processes were told; else what they would be.
    Exits 1 when a process refuses a setting, or the objects do not compile.
    """
    from sluice_cli.diagnosing import showing  # heavy, and of no use to other commands

    raise typer.Exit(showing.show(context, file, data, process, output))
