"""What happens around every call a server answers: deadline, run, trace, metrics, errors."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from sluice_servicekit import context, deadlines, metrics, status_mapping, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import Internal, InvalidArgument, ServiceError

_LOG = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its stubs only
MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Context = grpc.aio.ServicerContext[Any, Any]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each handler once. Domain errors become rich statuses; all else is `Internal`, logged whole."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeHandler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        # Health checks and reflection are not work: no span, no metrics.
        if handler is None or not method.startswith("/sluice."):
            return handler
        return _wrap(handler, method)


def _wrap(handler: Handler, method: str) -> Handler:
    serializers = {
        "request_deserializer": (
            handler.request_deserializer if handler.request_streaming else _read(handler.request_deserializer)
        ),
        "response_serializer": handler.response_serializer,
    }
    if handler.response_streaming:
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        inner = handler.stream_stream if handler.request_streaming else handler.unary_stream
        return make(_streaming(inner, method), **serializers)
    make = (
        grpc.stream_unary_rpc_method_handler
        if handler.request_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
    return make(_unary(inner, method), **serializers)


class _Unreadable:
    """Stands for a request whose bytes are no message; grpc answers an exception with `INTERNAL` and logs it."""


def _read(deserialize: Any) -> Any:
    def read(content: bytes) -> Any:
        try:
            return deserialize(content)
        except DecodeError:
            return _Unreadable()

    return read


def _check(request: Any) -> None:
    if isinstance(request, _Unreadable):
        raise InvalidArgument(
            "the request cannot be read: it is no such message, or a text in it is not UTF-8"
        )


def _unary(inner: Any, method: str) -> Any:
    async def call(request: Any, call_context: Context) -> Any:
        with _around(method, call_context) as outcome:
            try:
                _check(request)
                return await inner(request, call_context)
            except Exception as error:
                await _abort(error, outcome, call_context, method)

    return call


def _streaming(inner: Any, method: str) -> Any:
    # Writes rather than yields: all of it then runs in one task, to which spans and context variables belong.
    async def call(request: Any, call_context: Context) -> None:
        with _around(method, call_context) as outcome:
            try:
                _check(request)
                async with aclosing(inner(request, call_context)) as responses:
                    async for response in responses:
                        await call_context.write(response)
            except Exception as error:
                await _abort(error, outcome, call_context, method)

    return call


class _Outcome:
    """The status code a call ended with, as the metric's label."""

    code = "OK"


@contextmanager
def _around(method: str, call_context: Context) -> Iterator[_Outcome]:
    carrier = {
        key: value for key, value in call_context.invocation_metadata() or () if isinstance(value, str)
    }
    deadlines.start(call_context.time_remaining())
    context.run_id.set(carrier.get(context.RUN_KEY, ""))
    context.tenant.set(carrier.get(context.TENANT_KEY, ""))
    outcome = _Outcome()
    in_flight = metrics.RPC_IN_FLIGHT.labels(method)
    in_flight.inc()
    started = time.perf_counter()
    try:
        with tracing.continued(
            carrier,
            method.removeprefix("/"),
            {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method, names.RUN_ID: context.run_id.get()},
        ) as span:
            yield outcome
            span.set_attribute(names.RPC_STATUS, outcome.code)
    except grpc.aio.AbortError:
        raise
    except BaseException:
        outcome.code = "CANCELLED"
        raise
    finally:
        in_flight.dec()
        metrics.RPC_SECONDS.labels(method, outcome.code).observe(time.perf_counter() - started)


async def _abort(error: Exception, outcome: _Outcome, call_context: Context, method: str) -> NoReturn:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, ServiceError):
        _LOG.error("%s failed", method, exc_info=error)
        # The text of an unforeseen error may hold content; the caller gets its type alone.
        error = Internal(f"unexpected {type(error).__name__}; the service's log has the details")
    outcome.code = status_mapping.grpc_code(error).name
    await call_context.abort_with_status(rpc_status.to_status(status_mapping.to_status(error)))
    raise AssertionError("abort returned")
