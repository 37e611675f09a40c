"""Answers from OpenAI-compatible servers, such as vLLM: one path, streamed, cancelled with the caller."""

import itertools
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import aiohttp
from prometheus_client import Counter

from sluice_inference.domain import prompting, rewriting
from sluice_inference.domain.model import (
    Finish,
    FinishReason,
    Message,
    Rewriting,
    Rewritten,
    Sampling,
    Task,
)
from sluice_inference.engines import sse
from sluice_lexical import unanswerable
from sluice_servicekit import deadlines, upstream
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

_FAILURES = Counter(names.UPSTREAM_FAILURES, "Calls to upstream servers that failed", ("reason",))

#: The only path that is ever asked for: a server's admin paths stay out of reach.
_PATH = "/chat/completions"

_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}


class OpenAiCompatibleEngine:
    """Streams from one of several equal servers; another is tried only before the first piece.

    Args:
        urls: Base URLs that end in `/v1`.
        model: The model's name where the task names none.
        api_key: Sent as a bearer token where it is not empty.
        connect_timeout: Seconds to reach a server.
    """

    def __init__(
        self, urls: Sequence[str], model: str, api_key: str = "", connect_timeout: float = 2.0
    ) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._turn = itertools.count()
        self._model = model
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._connect_timeout = connect_timeout
        self._session: aiohttp.ClientSession | None = None

    async def generate(self, task: Task) -> AsyncGenerator[str | Finish, None]:
        """The server's answer as it is written; without passages the server is not asked."""
        if not task.passages:
            yield unanswerable.sentence(task.question)
            yield Finish(FinishReason.STOP, task.model_name or self._model, unanswerable=True)
            return
        pieces: list[str] = []
        body = self._body(prompting.prompt(task), task.sampling, task.model_name)
        async with aclosing(self._asked(body)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    yield replace(event, unanswerable=unanswerable.says_so("".join(pieces)))
                else:
                    pieces.append(event)
                    yield event

    async def rewrite(self, task: Rewriting) -> Rewritten:
        """The server's first line, or lines, as likely as they can be."""
        sampling = Sampling(temperature=0.0, max_tokens=task.max_tokens)
        body = self._body(rewriting.prompt(task.turns, task.search_queries), sampling, task.model_name)
        pieces: list[str] = []
        async with aclosing(self._asked(body)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    reply, most = "".join(pieces), task.search_queries
                    return Rewritten(
                        "" if most else rewriting.one_line(reply),
                        event.model,
                        event.prompt_tokens,
                        event.completion_tokens,
                        rewriting.several_lines(reply, most),
                    )
                pieces.append(event)
        raise Unavailable("the model server's answer broke off", reason="UPSTREAM_TRUNCATED")

    async def _asked(self, body: dict[str, Any]) -> AsyncGenerator[str | Finish, None]:
        first = next(self._turn)
        for attempt in range(len(self._urls)):
            url = self._urls[(first + attempt) % len(self._urls)]
            begun = False
            try:
                async with aclosing(self._stream(url, body)) as events:
                    async for event in events:
                        begun = True
                        yield event
            except Unavailable as error:
                _FAILURES.labels(error.reason).inc()
                if begun or attempt == len(self._urls) - 1:
                    raise
            except ServiceError as error:
                _FAILURES.labels(error.reason).inc()
                raise
            else:
                return

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    async def _stream(self, url: str, body: dict[str, Any]) -> AsyncGenerator[str | Finish, None]:
        timeout = aiohttp.ClientTimeout(total=deadlines.remaining(), sock_connect=self._connect_timeout)
        try:
            async with self._connected().post(
                url + _PATH,
                json=body,
                headers=self._headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise _upstream_error(response.status, await response.text(), response.headers)
                async for event in _events(response.content):
                    yield event
        except TimeoutError as error:
            if deadlines.remaining() == 0:
                raise DeadlineExceeded("the model server did not answer in time") from error
            raise Unavailable(f"the model server at {url} cannot be reached in time") from error
        except aiohttp.ClientError as error:
            message = f"the model server at {url} cannot be reached: {type(error).__name__}"
            raise Unavailable(message, reason="UPSTREAM_UNREACHABLE") from error

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session

    def _body(self, messages: Sequence[Message], sampling: Sampling, model_name: str) -> dict[str, Any]:
        optional = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "stop": list(sampling.stop) or None,
            "seed": sampling.seed,
        }
        return {
            "model": model_name or self._model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            **{name: value for name, value in optional.items() if value is not None},
        }


async def _events(content: aiohttp.StreamReader) -> AsyncGenerator[str | Finish, None]:
    reason: FinishReason | None = None
    model = ""
    usage: dict[str, Any] = {}
    async for text in sse.data(content):
        if text.strip() == "[DONE]":
            break
        chunk = _parsed(text)
        if "error" in chunk:
            raise Unavailable(f"the model server failed: {upstream.message(chunk)}", reason="UPSTREAM_FAILED")
        model = chunk.get("model") or model
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            if piece := (choice.get("delta") or {}).get("content"):
                yield piece
            if finish := choice.get("finish_reason"):
                reason = _REASONS.get(finish, FinishReason.STOP)
    if reason is None:
        raise Unavailable("the model server's answer broke off", reason="UPSTREAM_TRUNCATED")
    yield Finish(reason, model, int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))


def _parsed(text: str) -> dict[str, Any]:
    try:
        chunk = json.loads(text)
    except ValueError:
        chunk = None
    if not isinstance(chunk, dict):
        raise Unavailable("the model server sent what is not an event", reason="UPSTREAM_FAILED")
    return chunk


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
    if status == 429:
        after = upstream.retry_after(headers)
        return ResourceExhausted(said, reason="UPSTREAM_BUSY", retry_after=1.0 if after is None else after)
    if status < 500:
        return InvalidArgument(said, reason="UPSTREAM_REFUSED")
    return Unavailable(said, reason="UPSTREAM_FAILED")
