"""`Idempotency-Key` on requests that start a run: one of them runs, the others are given its response."""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from typing import cast

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.domain.model import Principal
from sluice_gateway.domain.outcome import RunFailedError
from sluice_gateway.http import sse
from sluice_gateway.http.errors import error_response
from sluice_gateway.http.leaving import unless_gone
from sluice_gateway.http.state import CACHE_HEADER, RUN_HEADER, of
from sluice_gateway.idempotency.idempotency import Attempt
from sluice_gateway.idempotency.keys import canonical_json, keyed
from sluice_gateway.idempotency.recorded import Recorded, is_final
from sluice_gateway.payloads.port import RETENTION
from sluice_servicekit.errors import Conflict, InvalidArgument, ServiceError

KEY_HEADER = "idempotency-key"
REPLAYED_HEADER = "idempotency-replayed"

#: Headers that are given again with a response.
_HEADERS = (RUN_HEADER, CACHE_HEADER, "content-type", "cache-control", "x-accel-buffering", "location")

#: Bytes of a stream that are kept.
_MOST = 8 << 20

#: What OpenAI's clients ask before they repeat a request that was answered with 409.
_NO_RETRY = {"x-should-retry": "false"}


async def idempotent(
    request: Request,
    principal: Principal,
    body: bytes,
    payloads: Payloads,
    work: Callable[[], Awaitable[Response]],
    retention: float = RETENTION,
) -> Response:
    """The response to a request, or to the first one of its key.

    Args:
        body: The request's, which is JSON.
        payloads: Whether what the run works on is kept, and so its response.
        work: Makes the response, in one piece or as a stream of events that ends in `[DONE]`.

        retention: Seconds that it can be read, where it is sealed.

    Raises:
        InvalidArgument: the key is malformed.
    """
    keys = request.headers.getlist(KEY_HEADER)
    idempotency = of(request).idempotency
    if not keys or idempotency is None:
        return await work()
    if len(keys) > 1:
        raise InvalidArgument("send one Idempotency-Key", reason="INVALID_IDEMPOTENCY_KEY", field=KEY_HEADER)
    asked = keyed(principal, keys[0], request.url.path, canonical_json(body), field="Idempotency-Key")
    try:
        begun = await unless_gone(request, idempotency.begin(asked))
    except Conflict as error:
        response = error_response(error)
        if error.reason != "IDEMPOTENCY_KEY_IN_USE":
            response.headers.update(_NO_RETRY)
        if run_id := error.metadata.get("run_id"):
            response.headers[RUN_HEADER] = run_id
        return response
    if isinstance(begun, Recorded):
        return Response(begun.body, begun.status, {**begun.headers, REPLAYED_HEADER: "true"})
    return await _first(begun, payloads, retention, work)


async def _first(
    attempt: Attempt, payloads: Payloads, retention: float, work: Callable[[], Awaitable[Response]]
) -> Response:
    try:
        response = await _made(work)
    except BaseException:
        attempt.free()
        raise
    attempt.run_id = response.headers.get(RUN_HEADER, "")
    if isinstance(response, StreamingResponse):
        response.body_iterator = _recording(response.body_iterator, attempt, payloads, retention, response)
        return response
    await attempt.done(attempt.run_id, _recorded(response, bytes(response.body)), payloads, retention)
    return response


async def _made(work: Callable[[], Awaitable[Response]]) -> Response:
    """The response; of an error that would come again, its own."""
    try:
        return await work()
    except RunFailedError as failed:
        if not is_final(failed.error):
            raise
        response = error_response(failed.error, step=failed.step)
        response.headers[RUN_HEADER] = failed.run_id
        return response
    except ServiceError as error:
        if not is_final(error):
            raise
        return error_response(error)


async def _recording(
    frames: AsyncIterable[object], attempt: Attempt, payloads: Payloads, retention: float, response: Response
) -> AsyncGenerator[bytes, None]:
    """The frames; they are kept before the last one leaves. A stream without an end has failed, or nobody reads it."""
    kept = bytearray()
    ended = False
    try:
        async with aclosing(cast("AsyncGenerator[bytes, None]", frames)) as each:
            async for frame in each:
                if frame != sse.HEARTBEAT and len(kept) <= _MOST:
                    kept += frame
                if frame == sse.DONE:
                    ended = True
                    whole = len(kept) <= _MOST
                    recorded = _recorded(response, bytes(kept) if whole else b"")
                    await attempt.done(
                        attempt.run_id, recorded, payloads if whole else Payloads.NONE, retention
                    )
                yield frame
    finally:
        if not ended:
            attempt.free()


def _recorded(response: Response, body: bytes) -> Recorded:
    headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
    return Recorded(body, response.status_code, headers)
