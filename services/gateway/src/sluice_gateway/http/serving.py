"""The HTTP API on its socket, for as long as the gateway lives."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from sluice_gateway.access.preparing import Prepare, Preparing
from sluice_gateway.http.app import make_app
from sluice_gateway.http.state import HttpState
from sluice_gateway.settings import GatewaySettings
from sluice_servicekit.addresses import bound_socket, is_loopback, parse_address
from sluice_servicekit.errors import FailedPrecondition


def listen(address: str) -> socket.socket:
    """The socket of `SLUICE_HTTP_LISTEN`.

    Raises:
        FailedPrecondition: it is taken (`ADDRESS_IN_USE`).
    """
    if address.startswith("fd:"):
        return socket.socket(fileno=int(address.removeprefix("fd:")))
    try:
        return bound_socket(address)
    except OSError as error:
        raise FailedPrecondition(
            f"cannot listen on {address}: {error.strerror}; choose another port in SLUICE_HTTP_LISTEN",
            reason="ADDRESS_IN_USE",
        ) from error


def refuse_open_gateway(settings: GatewaySettings, http: socket.socket) -> None:
    """Raises `FailedPrecondition` where others than this machine could call without a key."""
    for host in (http.getsockname()[0], parse_address(settings.listen)[0]):
        if settings.api_keys_file is None and not is_loopback(host):
            raise FailedPrecondition(
                f"without API keys the gateway listens on loopback only, not on {host}; "
                "name a keys file in SLUICE_API_KEYS_FILE"
            )


@asynccontextmanager
async def serving_http(
    state: HttpState, listening: socket.socket, settings: GatewaySettings, prepare: Prepare
) -> AsyncIterator[None]:
    """Answers on the socket, for the length of the block.

    Args:
        prepare: Is called before each request with its headers.
    """
    config = uvicorn.Config(
        Preparing(make_app(state), prepare),
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=int(settings.drain_seconds),
        server_header=False,
    )
    server = uvicorn.Server(config)
    # Signals are the service's, which drains this server in its turn.
    serving = asyncio.create_task(server._serve([listening]))  # noqa: SLF001 - serve() would take the signals
    try:
        yield
    finally:
        server.should_exit = True
        await serving
