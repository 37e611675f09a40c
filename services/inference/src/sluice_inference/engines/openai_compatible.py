"""Answers from OpenAI-compatible servers, such as vLLM: one path, streamed, cancelled with the caller."""

import itertools
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import aiohttp
from prometheus_client import Counter

from sluice_inference.domain import rewriting
from sluice_inference.domain.model import (
    Delta,
    Finish,
    FinishReason,
    Prepared,
    Rewriting,
    Rewritten,
    Sampling,
    Task,
)
from sluice_inference.engines import chat_body, server_facts, sse
from sluice_inference.engines.chat_events import Reply
from sluice_inference.engines.composing import Composer
from sluice_inference.engines.server_facts import ServerFacts
from sluice_inference.engines.tokenizing import LocalTokenizer
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

#: All that is ever asked for, with the two paths of `server_facts`: a server's admin paths stay out of reach.
_PATH = "/chat/completions"

#: Characters of a token, about, where the server has not told how many tokens it has read.
_CHARACTERS = 4

#: What vLLM, and OpenAI, say of a prompt that the model cannot hold.
_TOO_LONG = "maximum context length"

#: How the `system_fingerprint` of vLLM begins.
_VLLM = "vllm-"


class OpenAiCompatibleEngine:
    """Streams from one of several equal servers; another is tried only before the first piece.

    Args:
        urls: Base URLs that end in `/v1`.
        model: The model's name where the task names none.
        api_key: Sent as a bearer token where it is not empty.
        connect_timeout: Seconds to reach a server.
        tokenizer: The model's, where there is one.
    """

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        api_key: str = "",
        connect_timeout: float = 2.0,
        tokenizer: LocalTokenizer | None = None,
    ) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._turn = itertools.count()
        self._asked_for_facts = itertools.count()
        self._model = model
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._connect_timeout = connect_timeout
        self._session: aiohttp.ClientSession | None = None
        #: By a server's URL, once it has answered: whether it is vLLM, which tells usage with each chunk if asked to.
        self._tells_usage: dict[str, bool] = {}
        self._composer = Composer(ServerFacts(self._ask), tokenizer)

    async def generate(self, task: Task) -> AsyncGenerator[Prepared | Delta | Finish, None]:
        """The server's answers as they are written; the server is not asked where there is nothing to answer from."""
        if not task.passages and not task.uses_tools:
            yield Delta(unanswerable.sentence(task.question))
            yield Finish(FinishReason.STOP, task.model_name or self._model, unanswerable=True)
            return
        pieces: list[str] = []
        model = task.model_name or self._model
        composed = await self._composer.compose(task, model)
        if composed.prepared is not None:
            yield composed.prepared
        body = chat_body.body(model, composed.messages, task.sampling, task.tools, task.answer_format)
        async with aclosing(self._asked(body)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    self._composer.learn(composed, task, model, event)
                    says_so = unanswerable.says_so("".join(pieces))
                    yield replace(event, unanswerable=says_so, prepared=composed.prepared)
                else:
                    if event.text and not event.choice:
                        pieces.append(event.text)
                    yield event

    async def rewrite(self, task: Rewriting) -> Rewritten:
        """The server's first line, or lines, as likely as they can be."""
        sampling = Sampling(temperature=0.0, max_tokens=task.max_tokens)
        messages = rewriting.prompt(task.turns, task.search_queries)
        body = chat_body.body(task.model_name or self._model, messages, sampling)
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
                pieces.append(event.text)
        raise Unavailable("the model server's answer broke off", reason="UPSTREAM_TRUNCATED")

    async def _asked(self, body: chat_body.Json) -> AsyncGenerator[Delta | Finish, None]:
        first = next(self._turn)
        for attempt in range(len(self._urls)):
            url = self._urls[(first + attempt) % len(self._urls)]
            begun = False
            try:
                async with aclosing(self._stream(url, body)) as events:
                    async for event in events:
                        begun = begun or isinstance(event, Finish) or not event.is_silent
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

    async def _stream(self, url: str, body: chat_body.Json) -> AsyncGenerator[Delta | Finish, None]:
        timeout = aiohttp.ClientTimeout(total=deadlines.remaining(), sock_connect=self._connect_timeout)
        if self._tells_usage.get(url):
            body = {**body, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
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
                async for event in _events(response.content, body):
                    if isinstance(event, Finish):
                        self._tells_usage[url] = event.system_fingerprint.startswith(_VLLM)
                    yield event
        except TimeoutError as error:
            if deadlines.remaining() == 0:
                raise DeadlineExceeded("the model server did not answer in time") from error
            raise Unavailable(f"the model server at {url} cannot be reached in time") from error
        except aiohttp.ClientError as error:
            message = f"the model server at {url} cannot be reached: {type(error).__name__}"
            raise Unavailable(message, reason="UPSTREAM_UNREACHABLE") from error

    async def _ask(self, path: str, body: server_facts.Json | None) -> server_facts.Json | None:
        """See `server_facts.Ask`; any of the servers may answer, they are equal."""
        url = self._urls[next(self._asked_for_facts) % len(self._urls)]
        return await server_facts.ask(self._connected(), url, self._headers, path, body)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session


async def _events(
    content: aiohttp.StreamReader, body: chat_body.Json
) -> AsyncGenerator[Delta | Finish, None]:
    reply = Reply(body.get("n", 1), _estimate(body))
    async for text in sse.data(content):
        if text.strip() == "[DONE]":
            break
        chunk = _parsed(text)
        if "error" in chunk:
            raise Unavailable(f"the model server failed: {upstream.message(chunk)}", reason="UPSTREAM_FAILED")
        for delta in reply.take(chunk):
            yield delta
    if reply.finish is None:
        raise Unavailable("the model server's answer broke off", reason="UPSTREAM_TRUNCATED")
    yield reply.finish


def _estimate(body: chat_body.Json) -> int:
    """About how many tokens the prompt has."""
    characters = sum(len(message["content"] or "") for message in body["messages"])
    return -(-characters // _CHARACTERS)


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
        too_long = status == 400 and _TOO_LONG in message.casefold()
        return InvalidArgument(said, reason="PROMPT_TOO_LONG" if too_long else "UPSTREAM_REFUSED")
    return Unavailable(said, reason="UPSTREAM_FAILED")
