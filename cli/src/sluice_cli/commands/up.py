"""`sluice up`: everything on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice_cli.commands.status import process_table
from sluice_cli.errors import usage
from sluice_cli.options import DEFAULT_DATA, Data, Objects
from sluice_cli.supervising import interrupting
from sluice_cli.terminal import err, out

if TYPE_CHECKING:
    from sluice_cli.supervising.supervisor import UpOptions

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
    # Here, since it loads gRPC and the object models: every other command starts three times as fast without.
    from sluice_cli.supervising.supervisor import UpOptions

    options = UpOptions(_objects(file), data, listen, grpc_listen, api_keys, traces)
    interrupting.run(_up(options))


async def _up(options: "UpOptions") -> None:
    from sluice_cli.supervising.supervisor import supervising

    err.print("starting the services …")
    async with supervising(options) as supervisor:
        out.print(process_table(supervisor.record))
        out.print(f"HTTP API  [bold]{supervisor.url}/v1[/]   (Ctrl-C stops)")
        await supervisor.given_up()


def _objects(given: list[Path]) -> list[Path]:
    if given:
        return given
    quickstart = Path("examples/quickstart")
    if quickstart.is_dir():
        return [quickstart]
    raise usage("no objects are given", "name a file or folder with -f, for example -f examples/quickstart")
