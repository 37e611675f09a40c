"""Channels to other services: what is left of the deadline, the run and the trace go with every call."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Self

import grpc

from sluice_servicekit import context, deadlines, tracing
from sluice_servicekit.call_endings import CallEnding
from sluice_servicekit.limits import MAX_MESSAGE_BYTES
from sluice_servicekit.status_mapping import from_rpc_error

_OPTIONS = (
    # A restarted service must be found again within its restart time, not after gRPC's 20 s default.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Retries are the caller's policy; gRPC's own would multiply them.
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


def open_channel(
    address: str, *, peer: str = "", max_message_bytes: int = MAX_MESSAGE_BYTES
) -> grpc.aio.Channel:
    """A channel whose calls raise `ServiceError` instead of `AioRpcError`.

    Unary calls give a coroutine, streams an async generator whose `aclose()` cancels the call.

    Args:
        address: `host:port` or any gRPC target.
        peer: The other side's name, for errors that the connection itself makes.
        max_message_bytes: The largest message either way.
    """
    options = (
        *_OPTIONS,
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
    )
    return _Channel(grpc.aio.insecure_channel(address, options=options), peer or address)


def _metadata() -> list[tuple[str, str]]:
    own = ((context.RUN_KEY, context.run_id.get()), (context.TENANT_KEY, context.tenant.get()))
    return [(key, value) for key, value in (*own, *tracing.headers().items()) if value]


class _Channel(grpc.aio.Channel):
    """Wraps a channel rather than intercept its calls: grpc.aio's interceptors cost a task for each call and
    lose the cancellation of a stream that is read half."""

    def __init__(self, channel: grpc.aio.Channel, peer: str) -> None:
        self._channel = channel
        self._peer = peer

    def unary_unary(self, method: str, *args: Any, **options: Any) -> Any:
        return self._unary(self._channel.unary_unary(method, *args, **options))

    def stream_unary(self, method: str, *args: Any, **options: Any) -> Any:
        return self._unary(self._channel.stream_unary(method, *args, **options), sends=True)

    def unary_stream(self, method: str, *args: Any, **options: Any) -> Any:
        return self._stream(self._channel.unary_stream(method, *args, **options))

    def stream_stream(self, method: str, *args: Any, **options: Any) -> Any:
        return self._stream(self._channel.stream_stream(method, *args, **options), sends=True)

    def _unary(self, start: Callable[..., Any], *, sends: bool = False) -> Callable[..., Awaitable[Any]]:
        async def call(
            request: Any,
            timeout: float | None = None,  # noqa: ASYNC109 - grpc's signature
            metadata: Sequence[tuple[str, str]] = (),
        ) -> Any:
            running = start(request, timeout=deadlines.cap(timeout), metadata=[*metadata, *_metadata()])
            ending = CallEnding(running) if sends else None
            try:
                return await running
            except grpc.aio.AioRpcError as raised:
                error = raised if ending is None else await ending.of(raised)
                raise from_rpc_error(error, peer=self._peer) from None

        return call

    def _stream(self, start: Callable[..., Any], *, sends: bool = False) -> Callable[..., AsyncIterator[Any]]:
        async def call(
            request: Any,
            timeout: float | None = None,  # noqa: ASYNC109 - grpc's signature
            metadata: Sequence[tuple[str, str]] = (),
        ) -> AsyncIterator[Any]:
            running = start(request, timeout=deadlines.cap(timeout), metadata=[*metadata, *_metadata()])
            ending = CallEnding(running) if sends else None
            try:
                async for response in running:
                    yield response
            except grpc.aio.AioRpcError as raised:
                error = raised if ending is None else await ending.of(raised)
                if error.code() is not grpc.StatusCode.OK:
                    raise from_rpc_error(error, peer=self._peer) from None
            finally:
                running.cancel()  # does nothing once the call is over

        return call

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - grpc's signature
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()
