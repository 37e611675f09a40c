"""A double of vLLM's chat endpoint. Frames and errors are those that vLLM 0.32.0 gave when it was recorded
(`tests/data/vllm-0.32.0-chat.json`); the text is the test's, and each piece of it counts as a token."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

FINGERPRINT = "vllm-0.32.0-56ce1175"

#: Tokens of every prompt, where it does not count them.
PROMPT_TOKENS = 17


@dataclass(frozen=True)
class Call:
    """A call of a tool, as the model writes it."""

    name: str
    fragments: tuple[str, ...]
    """Of its arguments."""
    id: str = "chatcmpl-tool-94d54f6dafe0ec5b"


@dataclass
class ModelServer:
    """What it answers, and what it was asked."""

    pieces: tuple[str, ...] = ("It is 40 ", "hours [1].")
    writes: Callable[[dict[str, Any]], tuple[str, ...]] | None = None
    """What it answers, by what it was asked; in place of `pieces`."""
    others: tuple[tuple[str, ...], ...] = ()
    """What it answers besides, where several answers are asked for; the first again where there are not as many."""
    calls: tuple[Call, ...] = ()
    """What it calls where it may, in place of an answer; not where it has just been given a tool's result."""
    json: tuple[str, ...] = ()
    """What it answers where JSON is asked for."""
    reasoning: tuple[str, ...] = ()
    """What it thinks first."""
    fingerprint: str = FINGERPRINT
    finish_reason: str = "stop"
    status: int = 200
    """Other than 200: the error that vLLM answers with."""
    rewritten: str = ""
    """What it answers where it is asked to rewrite a question; empty where it answers that like any other."""
    rewrite_status: int = 200
    break_after: int | None = None
    """Cuts the connection after so many pieces."""
    silent_seconds: float = 0.0
    silent_before: int = 0
    """The piece before which it is silent."""
    tokens: Callable[[str], int] | None = None
    """How many tokens a text has: there is `/tokenize` then, and what is asked has as many."""
    context: int | None = None
    """How many tokens its model holds, where it tells."""
    tokenized: list[dict[str, Any]] = field(default_factory=list)
    """What it was asked to count."""
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A caller has left a stream."""


_ERRORS = {
    400: {
        "message": "This model's maximum context length is 1024 tokens. Please reduce the length of the input prompt.",
        "type": "BadRequestError",
        "param": "input_text",
        "code": 400,
    },
    401: {"message": "Unauthorized", "type": "Unauthorized", "param": None, "code": 401},
    404: {
        "message": "The model `unknown` does not exist. Valid aliases: tiny.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    },
    429: {"message": "busy", "type": "TooManyRequests", "param": None, "code": 429},
    500: {"message": "EngineCore died", "type": "InternalServerError", "param": None, "code": 500},
}


@asynccontextmanager
async def serving(server: ModelServer) -> AsyncIterator[ModelServer]:
    """Serves on loopback for the length of the block; sets `url`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        server.requests.append(body)
        server.asked.set()
        server.headers.append(dict(request.headers))
        rewriting = asks_to_rewrite(body)
        status = server.rewrite_status if rewriting else server.status
        if status != 200:
            headers = {"retry-after": "3"} if status == 429 else {}
            return web.json_response({"error": _ERRORS[status]}, status=status, headers=headers)
        if wrong := _wrong(body):
            return web.json_response({"error": wrong}, status=400)
        answers = _written(server, body, rewriting=rewriting)
        return await _Stream(server, request, body).send(answers)

    app = web.Application()

    async def models(_: web.Request) -> web.Response:
        card = {"id": "tiny", "object": "model", "parent": None, "max_model_len": server.context}
        adapter = {"id": "support-de", "object": "model", "parent": "tiny", "max_model_len": None}
        return web.json_response({"object": "list", "data": [card, adapter]})

    async def tokenize(request: web.Request) -> web.Response:
        server.tokenized.append(body := await request.json())
        if server.tokens is None:
            return web.json_response({"detail": "Not Found"}, status=404)
        count = prompt_tokens(server, body)
        told = {"count": count, "max_model_len": server.context, "tokens": [0] * count, "token_strs": None}
        return web.json_response(told)

    app.router.add_get("/v1/models", models)
    app.router.add_post("/tokenize", tokenize)
    app.router.add_post("/v1/chat/completions", answer)
    # A caller who leaves cancels the handler, as in vLLM.
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


def prompt_tokens(server: ModelServer, body: dict[str, Any]) -> int:
    """Of what is asked, in a template that puts five tokens around each message."""
    if server.tokens is None:
        return PROMPT_TOKENS
    return 3 + sum(5 + server.tokens(message["content"] or "") for message in body["messages"])


def asks_to_rewrite(body: dict[str, Any]) -> bool:
    """True for a request that gives a conversation to rewrite the end of."""
    return body["messages"][-1]["content"].startswith("<conversation>")


def _wrong(body: dict[str, Any]) -> dict[str, Any] | None:
    """What vLLM refuses, of all that a gateway might send."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    message, param = "", None
    if choice is not None and not tools:
        message, param = (
            "When using `tool_choice`, `tools` must be set. (parameter=tool_choice)",
            "tool_choice",
        )
    elif isinstance(choice, dict) and choice["function"]["name"] not in _names(tools):
        message = "The tool specified in `tool_choice` does not match any of the specified `tools`"
        param = "tool_choice"
    elif body.get("top_logprobs", 0) > 20:
        message = "Requested sample logprobs of 30, which is greater than max allowed: 20"
        param = "logprobs"
    elif "nonsense" in json.dumps(body.get("response_format")):
        message = "Grammar error: Invalid type: nonsense"
    return {"message": message, "type": "BadRequestError", "param": param, "code": 400} if message else None


def _names(tools: list[dict[str, Any]]) -> list[str]:
    return [tool["function"]["name"] for tool in tools]


def _written(server: ModelServer, body: dict[str, Any], *, rewriting: bool) -> list[tuple[str, ...]]:
    """The pieces of each answer."""
    pieces = server.pieces if server.writes is None else server.writes(body)
    if rewriting and server.rewritten:
        pieces = (server.rewritten,)
    if server.json and "response_format" in body:
        pieces = server.json
    others = [*server.others, *[pieces] * body.get("n", 1)]
    return [pieces, *others[: body.get("n", 1) - 1]]


class _Stream:
    """One reply, frame by frame."""

    def __init__(self, server: ModelServer, request: web.Request, body: dict[str, Any]) -> None:
        self._server = server
        self._request = request
        self._response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        self._base = {
            "id": "chatcmpl-a9b4786348263f30",
            "object": "chat.completion.chunk",
            "created": 1795452003,
            "model": body["model"],
        }
        self._read = prompt_tokens(server, body)
        self._continuous = body["stream_options"].get("continuous_usage_stats", False)
        self._top = body.get("top_logprobs", 0) if body.get("logprobs") else None
        may_call = body.get("tools") and body.get("tool_choice") != "none"
        self._calls = server.calls if may_call and body["messages"][-1]["role"] != "tool" else ()
        self._tokens: dict[int, int] = {}

    async def send(self, answers: list[tuple[str, ...]]) -> web.StreamResponse:
        try:
            await self._response.prepare(self._request)
            await self._all(answers)
        except (asyncio.CancelledError, ConnectionError):
            self._server.left.set()
            raise
        return self._response

    async def _all(self, answers: list[tuple[str, ...]]) -> None:
        server = self._server
        for index in range(len(answers)):
            await self._frame(index, {"role": "assistant", "content": ""})
        for thought in server.reasoning:
            for index in range(len(answers)):
                await self._frame(index, {"reasoning": thought}, tokens=1, token=thought)
        if self._calls:
            await self._call_tools(len(answers))
        else:
            for place in range(max(map(len, answers))):
                if place == server.silent_before:
                    await asyncio.sleep(server.silent_seconds)
                if place == server.break_after:
                    self._request.transport.abort()
                    return
                for index, pieces in enumerate(answers):  # as they are written: in turns
                    if place < len(pieces):
                        piece = pieces[place]
                        await self._frame(index, {"content": piece}, tokens=1, token=piece)
            for index in range(len(answers)):
                await self._frame(index, {"content": ""}, server.finish_reason)
        written = sum(self._tokens.values())
        usage = self._usage(written)
        end = {**self._base, "choices": [], "usage": usage, "system_fingerprint": server.fingerprint}
        await self._write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n")

    async def _call_tools(self, answers: int) -> None:
        for index in range(answers):
            for place, call in enumerate(self._calls):
                function = {"name": call.name}
                named = {"id": call.id, "type": "function", "index": place, "function": function}
                await self._frame(index, {"content": None, "tool_calls": [named]}, tokens=1)
                for fragment in call.fragments:
                    piece = {"index": place, "function": {"arguments": fragment}}
                    await self._frame(
                        index, {"content": None, "tool_calls": [piece]}, tokens=1, token=fragment
                    )
            await self._frame(index, {}, "tool_calls")

    async def _frame(
        self,
        index: int,
        delta: dict[str, Any],
        finish: str | None = None,
        *,
        tokens: int = 0,
        token: str = "",
    ) -> None:
        self._tokens[index] = self._tokens.get(index, 0) + tokens
        logprobs = None if self._top is None or not tokens else {"content": [self._logprob(token)]}
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        frame: dict[str, Any] = {**self._base, "choices": [choice | {"token_ids": None}]}
        if self._continuous:  # of that answer alone
            frame["usage"] = self._usage(self._tokens[index]) | {"completion_tokens_details": None}
        await self._write(f"data: {json.dumps(frame)}\n\n")

    async def _write(self, text: str) -> None:
        await self._response.write(text.encode())

    def _logprob(self, token: str) -> dict[str, Any]:
        told = {"token": token, "logprob": -0.25, "bytes": list(token.encode())}
        other = {"token": "?", "logprob": -1.5, "bytes": [63]}
        return {**told, "top_logprobs": [told, other][: self._top]}

    def _usage(self, written: int) -> dict[str, Any]:
        return {
            "prompt_tokens": self._read,
            "total_tokens": self._read + written,
            "completion_tokens": written,
        }
