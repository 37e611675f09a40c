"""One call of one replica: its reply, event by event."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import orjson

from sluice_inference.domain.model import Delta, Finish
from sluice_inference.engines import chat_body, sse
from sluice_inference.engines.chat_events import Reply
from sluice_inference.engines.client import Client, Path
from sluice_servicekit import deadlines, upstream
from sluice_servicekit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

#: Characters of a token, about, where the server has not told how many tokens it has read.
_CHARACTERS = 4

#: What vLLM, and OpenAI, say of a prompt that the model cannot hold.
_TOO_LONG = "maximum context length"

#: Seconds that a timer may go off too early.
_EARLY = 0.02


async def stream(
    client: Client, name: str, url: str, body: chat_body.Json
) -> AsyncGenerator[Delta | Finish, None]:
    """The reply's pieces, then its end. The connection is closed where the caller leaves before.

    Args:
        name: Of the replica, for people.
        url: Its base URL.

    Raises:
        DeadlineExceeded: the caller's time is over.
        ServiceError: by its reason: `UPSTREAM_UNREACHABLE` where no connection could be made or it broke before any
            event, `UPSTREAM_TRUNCATED` where it broke later, the others as the server says.
    """
    reply = Reply(body.get("n", 1), _estimate(body))
    said = False
    try:
        async with client.post(url, Path.CHAT, body) as response:
            if response.status != 200:
                raise _upstream_error(response.status, await response.text(), response.headers)
            async for content in sse.data(response.content.iter_any()):
                if content.strip() == b"[DONE]":
                    break
                said = True
                chunk = _parsed(content)
                if "error" in chunk:
                    raise Unavailable(
                        f"the model server failed: {upstream.message(chunk)}", reason="UPSTREAM_FAILED"
                    )
                for delta in reply.take(chunk):
                    yield delta
            if reply.finish is None:
                raise _broke_off(name)
            yield reply.finish
    except (TimeoutError, aiohttp.ClientError, ValueError) as error:
        raise _meaning(error, name, said=said) from error


def _meaning(error: Exception, name: str, *, said: bool) -> ServiceError:
    """What is told of a connection that failed.

    Args:
        said: An event has come.
    """
    if isinstance(error, TimeoutError):
        left = deadlines.remaining()
        if left is not None and left < _EARLY:
            return DeadlineExceeded("the model server did not answer in time")
        message = f"the model server at {name} cannot be reached in time"
        return Unavailable(message, reason="UPSTREAM_UNREACHABLE")
    if not isinstance(error, aiohttp.ClientError):  # a line without an end
        return Unavailable(f"the model server at {name} failed: {error}", reason="UPSTREAM_FAILED")
    if said:
        return _broke_off(name)
    message = f"the model server at {name} cannot be reached: {type(error).__name__}"
    return Unavailable(message, reason="UPSTREAM_UNREACHABLE")


def _broke_off(name: str) -> Unavailable:
    return Unavailable(f"the answer of the model server at {name} broke off", reason="UPSTREAM_TRUNCATED")


def _estimate(body: chat_body.Json) -> int:
    """About how many tokens the prompt has."""
    characters = sum(len(message["content"] or "") for message in body["messages"])
    return -(-characters // _CHARACTERS)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(content)
    except ValueError:
        chunk = _leniently_parsed(content.decode("utf-8", errors="replace"))
    if not isinstance(chunk, dict):
        raise Unavailable("the model server sent what is not an event", reason="UPSTREAM_FAILED")
    return chunk


def _leniently_parsed(text: str) -> Any:
    """With what JSON does not allow and servers send: characters cut in two, `NaN`."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _upstream_error(status: int, text: str, headers: Any) -> ServiceError:
    try:
        message = upstream.message(json.loads(text))
    except ValueError:
        message = text[:200]
    said = f"the model server says ({status}): {message}"
    if status in (401, 403):
        return FailedPrecondition(f"{said}; check its API key", reason="UPSTREAM_AUTH")
    if status == 404:
        return NotFound(said, reason="UPSTREAM_MODEL_NOT_FOUND")
    if status in (429, 503):
        after = upstream.retry_after(headers)
        if status == 429 or after is not None:
            return ResourceExhausted(
                said, reason="UPSTREAM_BUSY", retry_after=1.0 if after is None else after
            )
    if status < 500:
        too_long = status == 400 and _TOO_LONG in message.casefold()
        return InvalidArgument(said, reason="PROMPT_TOO_LONG" if too_long else "UPSTREAM_REFUSED")
    return Unavailable(said, reason="UPSTREAM_FAILED")
