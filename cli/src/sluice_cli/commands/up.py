"""`sluice up`: everything on this machine."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sluice_cli.commands.status import process_table
from sluice_cli.errors import usage
from sluice_cli.options import DEFAULT_DATA, Data, Objects
from sluice_cli.supervising.layout import Layout, read_record
from sluice_cli.supervising.supervisor import Supervisor, UpOptions, supervising
from sluice_cli.terminal import err, out

Listen = Annotated[str, typer.Option(help="Where the HTTP API listens.")]


def up(
    file: Objects = [],  # noqa: B006 - typer reads it, nobody changes it
    data: Data = DEFAULT_DATA,
    listen: Listen = "127.0.0.1:8080",
    grpc_listen: Annotated[str, typer.Option(help="Where the gRPC API listens; a free port if empty.")] = "",
    api_keys: Annotated[
        Path | None, typer.Option(help="A file of API keys; without it, loopback only and no keys.")
    ] = None,
    traces: Annotated[str, typer.Option(help="off, otlp or file:PATH.", show_default=False)] = "",
) -> None:
    """Start the services and the gateway, serve, and keep them alive until Ctrl-C.

    Exits 2 where an object, a port or an option is wrong.
    """
    options = UpOptions(_objects(file), data, listen, grpc_listen, api_keys, traces)
    asyncio.run(_up(options))


async def _up(options: UpOptions) -> None:
    with err.status("starting"):
        context = supervising(options)
        supervisor = await context.__aenter__()
    try:
        out.print(_overview(options.data))
        out.print(f"HTTP API  [bold]{supervisor.url}/v1[/]   (Ctrl-C stops)")
        await until_stopped(supervisor)
    finally:
        with err.status("stopping"):
            await context.__aexit__(None, None, None)


async def until_stopped(supervisor: Supervisor) -> None:
    """Returns on SIGINT or SIGTERM.

    Raises:
        CommandError: a process has given up.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    stopping = asyncio.create_task(stop.wait())
    failing = asyncio.create_task(supervisor.given_up())
    try:
        await asyncio.wait({stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done() and not stop.is_set():
            failing.result()
    finally:
        for task in (stopping, failing):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


def _objects(given: list[Path]) -> list[Path]:
    if given:
        return given
    quickstart = Path("examples/quickstart")
    if quickstart.is_dir():
        return [quickstart]
    raise usage("no objects are given", "name a file or folder with -f, for example -f examples/quickstart")


def _overview(data: Path) -> Table:
    return process_table(read_record(Layout(data)))
