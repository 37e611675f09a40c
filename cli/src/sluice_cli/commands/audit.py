"""`sluice audit`: is the journal what was written?"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from sluice_cli.options import DEFAULT_DATA, Data, Output, OutputFormat, prints_data
from sluice_cli.supervising.layout import Layout
from sluice_cli.supervising.plan import GATEWAY
from sluice_cli.terminal import out, print_data

app = typer.Typer(no_args_is_help=True, help="The journal's integrity.")


@app.callback()
def _group() -> None:
    """Keeps `verify` a command of its own while it is the only one."""


@app.command("verify")
@prints_data
def verify(
    data: Data = DEFAULT_DATA,
    key_file: Annotated[
        Path | None, typer.Option(help="The journal's key, where it is kept apart from the journal.")
    ] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check the journal for edited, missing and added rows. It may be in use meanwhile.

    Exits 0 when it passes, 1 when not, 2 when it cannot be read.
    """
    command = [sys.executable, "-m", "sluice_gateway.audit", "verify"]
    command += ["--data", str(Layout(data.absolute()).of(GATEWAY))]
    if key_file is not None:
        command += ["--key-file", str(key_file)]
    if output is not OutputFormat.TABLE:
        command.append("--json")
    # The journal is the gateway's; a process of its own keeps its code out of this one.
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    if output is OutputFormat.TABLE:
        out.print(done.stdout, end="", markup=False)
    elif done.stdout:  # nothing, where the journal cannot be read
        print_data(json.loads(done.stdout), output)
    raise typer.Exit(done.returncode)
