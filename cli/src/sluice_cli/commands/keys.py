"""`sluice keys`: keys of callers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from sluice_cli.errors import CommandError
from sluice_cli.exits import USAGE
from sluice_cli.options import Output, OutputFormat, prints_data
from sluice_cli.terminal import out, print_data

app = typer.Typer(no_args_is_help=True, help="API keys.")

_NEW = "sluice_gateway.access.new_key"


@app.callback()
def _group() -> None:
    """Keeps `new` a command of its own while it is the only one."""


@app.command("new")
@prints_data
def new(
    tenant: Annotated[str, typer.Option(help="The tenant that it belongs to.")],
    id: Annotated[str, typer.Option(help="Its name in logs, journal and limits; made up where absent.")] = "",  # noqa: A002 - the option's name
    subject: Annotated[str, typer.Option(help="Who uses it.")] = "",
    roles: Annotated[str, typer.Option(help="reader, writer or admin.")] = "reader",
    acl: Annotated[
        str, typer.Option(help="What its owner may read of documents that carry an acl, parted by commas.")
    ] = "",
    models: Annotated[
        str, typer.Option(help="Models that it may ask, parted by commas; all where absent.")
    ] = "",
    expires: Annotated[str, typer.Option(help="A day, a time, or so many days: 90d.")] = "",
    priority: Annotated[
        str, typer.Option(help="The most urgent it may be: interactive, batch, background.")
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(help="Append the entry to this keys file, which is made where there is none."),
    ] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Make an API key. It is printed once; the keys file holds its digest alone."""
    options = {
        "tenant": tenant,
        "id": id,
        "subject": subject,
        "roles": roles,
        "acl": acl,
        "models": models,
        "expires": expires,
        "priority": priority,
        "file": "" if file is None else str(file.absolute()),
    }
    command = [sys.executable, "-m", _NEW]
    command += [f"--{name}={value}" for name, value in options.items() if value]
    # The keys file is the gateway's; a process of its own keeps its code out of this one.
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    if done.returncode:
        raise CommandError(done.stderr.strip().rpartition("\n")[2], code=USAGE)
    made = json.loads(done.stdout)
    if output is not OutputFormat.TABLE:
        print_data({**made, "file": options["file"]}, output)
        return
    out.print(made["key"], markup=False, highlight=False, soft_wrap=True)
    if file is None:
        out.print(
            "\nIt is not shown again. Add to `keys:` of the keys file:\n", markup=False, highlight=False
        )
        out.print(made["entry"], end="", markup=False, highlight=False, soft_wrap=True)
    else:
        out.print(
            f"\nIt is not shown again. {file} has its digest, as {made['id']}.", markup=False, highlight=False
        )
