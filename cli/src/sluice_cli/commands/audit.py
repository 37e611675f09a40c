"""`sluice audit`: is the journal what was written, and what is in it?"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sluice_cli.options import DEFAULT_DATA, Data, Output, OutputFormat, prints_data
from sluice_cli.supervising.layout import Layout
from sluice_cli.supervising.plan import GATEWAY
from sluice_cli.terminal import err, out, print_data

app = typer.Typer(no_args_is_help=True, help="The journal: its integrity, and its content as a file.")

_URL = "SLUICE_DATABASE_URL"

DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar=_URL, help="The PostgreSQL that holds the journal, where one does.", show_default=False
    ),
]
Moment = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"], help="In UTC, unless it says so."
    ),
]


class Format(StrEnum):
    """What kind of file."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@app.command("verify")
@prints_data
def verify(
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = "",
    key_file: Annotated[
        Path | None, typer.Option(help="The journal's key, where it is kept apart from the journal.")
    ] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check the journal for edited, missing and added rows. It may be in use meanwhile.

    The data folder has the exported checkpoints, and the journal itself unless it is in a database.

    Exits 0 when it passes, 1 when not, 2 when it cannot be read.
    """
    command = [*_command("verify", data)]
    if key_file is not None:
        command += ["--key-file", str(key_file)]
    if output is not OutputFormat.TABLE:
        command.append("--json")
    done = subprocess.run(  # noqa: S603 - our own command
        command, check=False, stdout=subprocess.PIPE, text=True, env=_environment(database_url)
    )
    if output is OutputFormat.TABLE:
        out.print(done.stdout, end="", markup=False)
    elif done.stdout:  # nothing, where the journal cannot be read
        print_data(json.loads(done.stdout), output)
    raise typer.Exit(done.returncode)


@app.command("export")
def export(
    target: Annotated[Path, typer.Option("--out", "-o", help="The file; replaced once all is written.")],
    kind: Annotated[
        Format, typer.Option("--format", help="parquet needs pyarrow, which is not installed by itself.")
    ] = Format.JSONL,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = "",
    since: Moment = None,
    until: Moment = None,
    tenant: Annotated[str, typer.Option(help="Only this tenant's rows.", show_default=False)] = "",
    run: Annotated[str, typer.Option(help="Only this run's rows.", show_default=False)] = "",
) -> None:
    """Copy the journal's rows into a file, one line or record each. It may be in use meanwhile.

    Exits 0 when the file is complete, 2 when the journal cannot be read or the file not be written; what was
    there before is then still there.
    """
    command = [*_command("export", data), "--format", kind, "--out", str(target.absolute())]
    for option, moment in (("--since", since), ("--until", until)):
        if moment is not None:
            command += [option, repr(_in_utc(moment).timestamp())]
    command += ["--tenant", tenant, "--run", run]
    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    written = 0
    with (
        subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.PIPE, text=True, env=_environment(database_url)
        ) as exporting,
        Progress(*columns, console=err, transient=True) as bar,
    ):
        task = bar.add_task("", total=None)
        for line in exporting.stdout or ():
            told = json.loads(line)
            written = told["written"]
            bar.update(task, completed=written, total=told["total"])
    if exporting.returncode == 0:
        err.print(f"{written} rows are in {target}", markup=False)
    raise typer.Exit(exporting.returncode)


def _command(name: str, data: Path) -> list[str]:
    # The journal is the gateway's; a process of its own keeps its code out of this one.
    folder = Layout(data.absolute()).of(GATEWAY)
    return [sys.executable, "-m", "sluice_gateway.audit", name, "--data", str(folder)]


def _environment(database_url: str) -> Mapping[str, str]:
    # Everybody may read a command line, and the URL may hold a password.
    return {**os.environ, _URL: database_url}


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
