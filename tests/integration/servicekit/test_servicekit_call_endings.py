"""How calls end that are over before all is sent to the server, over a real server and a real channel."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import ServiceError, Unavailable
from sluice_servicekit.grpc_server import Servicer, serving

SERVICE = "sluice.test.Taking"

#: Whether the server's answer or the failure of a write is seen first is chance; of so many calls some see either.
ROUNDS, TOGETHER = 5, 20


class Taking:
    """Reads everything or nothing, then ends with an error or well: `Many` with two replies, `One` with one."""

    def __init__(self, error: ServiceError | None = None, *, reads: bool = False) -> None:
        self._error, self._reads = error, reads

    async def many(self, requests: Any, context: Any) -> AsyncIterator[bytes]:
        yield await self.one(requests, context)
        yield b"second"

    async def one(self, requests: Any, context: Any) -> bytes:
        if self._reads:
            async for _ in requests:
                pass
        if self._error is not None:
            raise self._error
        return b"first"


def servicer(implementation: Taking) -> Servicer:
    def register(implementation: Any, server: grpc.aio.Server) -> None:
        handlers = {
            "Many": grpc.stream_stream_rpc_method_handler(implementation.many),
            "One": grpc.stream_unary_rpc_method_handler(implementation.one),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    return Servicer(register, implementation, SERVICE)


async def send(channel: grpc.aio.Channel, method: str) -> list[bytes]:
    """The replies to more than a connection takes before the other side reads."""

    async def requests() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(64 << 10)

    if method == "Many":
        return [reply async for reply in channel.stream_stream(f"/{SERVICE}/Many")(requests())]
    return [await channel.stream_unary(f"/{SERVICE}/One")(requests())]


async def ends(channel: grpc.aio.Channel, method: str) -> list[list[bytes] | BaseException]:
    """What calls that are made at the same time end with."""
    calls = (send(channel, method) for _ in range(TOGETHER))
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("method", ["Many", "One"])
async def test_error_of_a_server_that_does_not_read_on_arrives_as_itself(method: str) -> None:
    away = Unavailable("not open yet", reason="STORE_AWAY", retry_after=1.5)
    async with serving([servicer(Taking(away))]) as address, open_channel(address) as channel:
        for _ in range(ROUNDS):
            for error in await ends(channel, method):
                assert isinstance(error, Unavailable), error
                assert error.reason == "STORE_AWAY"
                assert error.retry_after == pytest.approx(1.5)


@pytest.mark.parametrize(("method", "replies"), [("Many", [b"first", b"second"]), ("One", [b"first"])])
async def test_server_that_does_not_read_on_may_end_a_call_well(method: str, replies: list[bytes]) -> None:
    async with serving([servicer(Taking())]) as address, open_channel(address) as channel:
        for _ in range(ROUNDS):
            assert await ends(channel, method) == [replies] * TOGETHER


@pytest.mark.parametrize("method", ["Many", "One"])
async def test_connection_that_breaks_while_requests_are_sent_is_unavailable(method: str) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes a connection on to the server, and breaks it off in the middle of the requests."""
        host, _, port = address.rpartition(":")
        from_server, to_server = await asyncio.open_connection(host, int(port))

        async def back() -> None:
            while data := await from_server.read(1 << 16):
                writer.write(data)

        passing = asyncio.create_task(back())
        left = 1 << 20
        while left > 0 and (data := await reader.read(1 << 16)):
            left -= len(data)
            to_server.write(data)
        passing.cancel()
        writer.transport.abort()
        to_server.transport.abort()

    async with (
        serving([servicer(Taking(reads=True))]) as address,
        await asyncio.start_server(connected, "127.0.0.1", 0) as between,
    ):
        through = f"127.0.0.1:{between.sockets[0].getsockname()[1]}"
        for _ in range(20):
            async with open_channel(through, peer="server") as channel:
                with pytest.raises(Unavailable, match="server: "):
                    await send(channel, method)
