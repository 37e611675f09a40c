"""Replies of the chat endpoint, whole or frame by frame, as vLLM 0.32 gives them."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from doubles.vllm.writing import Json, Written

FINGERPRINT = "vllm-0.32.0-56ce1175"


@dataclass(slots=True)
class Usage:
    """Tokens of one request."""

    prompt: int
    cached: int | None = None
    """Of the prompt; None where it is not told."""
    reasons: bool = False
    """Whether the server has a parser of reasoning."""
    written: dict[int, int] = field(default_factory=dict)
    """By answer."""

    def json(self, written: int | None = None, **more: Any) -> Json:
        """As it is told; of all answers where `written` is not given."""
        count = sum(self.written.values()) if written is None else written
        told: Json = {
            "prompt_tokens": self.prompt,
            "total_tokens": self.prompt + count,
            "completion_tokens": count,
        }
        if self.reasons:
            told["completion_tokens_details"] = {"reasoning_tokens": 0}
        if self.cached is not None:
            told["prompt_tokens_details"] = {"cached_tokens": self.cached}
        return told | more


@dataclass(frozen=True, slots=True)
class Frame:
    """A chunk, and the piece that it brings."""

    json: Json
    place: int | None = None
    """Which piece of the answers; None for what is no text."""
    is_token: bool = False


class Chunks:
    """The chunks of one streamed reply."""

    def __init__(self, body: Json, written: Written, usage: Usage, fingerprint: str) -> None:
        self._written = written
        self._usage = usage
        self._fingerprint = fingerprint
        options = body.get("stream_options") or {}
        self._continuous = options.get("continuous_usage_stats", False)
        self._include_usage = options.get("include_usage", False)
        self._top = body.get("top_logprobs", 0) if body.get("logprobs") else None
        self._base = {
            "id": identifier("chatcmpl"),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": body.get("model"),
        }

    def __iter__(self) -> Iterator[Frame]:
        written, answers = self._written, range(len(self._written.answers))
        for index in answers:
            yield self._first(index)
        for place, thought in enumerate(written.reasoning, 1):
            for index in answers:
                ends = written.finish_reason == "length" and place == len(written.reasoning)
                ends = ends and not written.answers[index]
                yield self._frame(index, {"reasoning": thought}, "length" if ends else None, token=thought)
        if written.calls:
            yield from self._tools()
        else:
            yield from self._texts()
        if self._include_usage:
            usage = self._usage.json()
            end = {"choices": [], "usage": usage, "system_fingerprint": self._fingerprint}
            yield Frame({**self._base, **end})

    def _texts(self) -> Iterator[Frame]:
        answers, reason = self._written.answers, self._written.finish_reason
        for place in range(max(map(len, answers))):
            for index, pieces in enumerate(answers):  # as they are written: in turns
                if place >= len(pieces):
                    continue
                # Where the limit is met the last token ends the answer; else a token without text does.
                ends = reason == "length" and place == len(pieces) - 1
                piece = pieces[place]
                yield self._frame(
                    index, {"content": piece}, reason if ends else None, token=piece, place=place
                )
        if reason != "length":
            for index in range(len(answers)):
                yield self._frame(index, {}, reason)

    def _tools(self) -> Iterator[Frame]:
        for index in range(len(self._written.answers)):
            for place, call in enumerate(self._written.calls):
                named = {
                    "id": call.id,
                    "type": "function",
                    "index": place,
                    "function": {"name": call.name},
                }
                yield self._frame(index, {"content": None, "tool_calls": [named]}, token="")
                for fragment in call.fragments:
                    piece = {"index": place, "function": {"arguments": fragment}}
                    yield self._frame(index, {"content": None, "tool_calls": [piece]}, token=fragment)
            yield self._frame(index, {}, _called(self._written))

    def _first(self, index: int) -> Frame:
        delta = {"role": "assistant", "content": ""}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        return Frame(self._chunk(index, choice) | {"prompt_token_ids": None, "prompt_text": None})

    def _frame(
        self,
        index: int,
        delta: Json,
        finish: str | None = None,
        *,
        token: str | None = None,
        place: int | None = None,
    ) -> Frame:
        self._usage.written[index] = self._usage.written.get(index, 0) + (token is not None)
        logprobs = None
        if self._top is not None and token is not None:
            logprobs = {"content": [logprob(token, self._top)]}
        choice: Json = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        if finish is not None:
            choice["stop_reason"] = None
        chunk = self._chunk(index, choice | {"token_ids": None})
        if finish is not None and not self._include_usage:
            chunk["system_fingerprint"] = self._fingerprint
        return Frame(chunk, place, token is not None)

    def _chunk(self, index: int, choice: Json) -> Json:
        chunk: Json = {**self._base, "choices": [choice]}
        if self._continuous:  # of that answer alone
            of = self._usage.written.get(index, 0)
            chunk["usage"] = self._usage.json(of, completion_tokens_details=None)
        return chunk


def whole(body: Json, written: Written, usage: Usage, fingerprint: str) -> Json:
    """The reply where it is not streamed."""
    top = body.get("top_logprobs", 0) if body.get("logprobs") else None
    choices = []
    for index, pieces in enumerate(written.answers):
        texts = (*written.reasoning, *(("",) * len(written.calls) if written.calls else pieces))
        usage.written[index] = len(texts)
        message: Json = {
            "role": "assistant",
            "content": None if written.calls else "".join(pieces),
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "reasoning": "".join(written.reasoning) or None,
        }
        if written.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": "".join(call.fragments)},
                }
                for call in written.calls
            ]
        choices.append(
            {
                "index": index,
                "message": message,
                "logprobs": None if top is None else {"content": [logprob(each, top) for each in texts]},
                "finish_reason": _called(written) if written.calls else written.finish_reason,
                "stop_reason": None,
                "token_ids": None,
                "routed_experts": None,
            }
        )
    details: Json = {"prompt_tokens_details": None} if usage.cached is None else {}
    return {
        "id": identifier("chatcmpl"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model"),
        "choices": choices,
        "service_tier": None,
        "system_fingerprint": fingerprint,
        "usage": usage.json(**details, completion_tokens_details=None),
        "prompt_logprobs": None,
        "prompt_token_ids": None,
        "prompt_text": None,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


def _called(written: Written) -> str:
    """How calls end: by themselves unless the limit cut them."""
    return "length" if written.finish_reason == "length" else "tool_calls"


def logprob(token: str, top: int) -> Json:
    """Of a token, with as many others as are asked for."""
    told = {"token": token, "logprob": -0.25, "bytes": list(token.encode())}
    other = {"token": "?", "logprob": -1.5, "bytes": [63]}
    return {**told, "top_logprobs": [told, other][:top]}


def identifier(prefix: str) -> str:
    """As vLLM makes them."""
    return f"{prefix}-{secrets.token_hex(8)}"
