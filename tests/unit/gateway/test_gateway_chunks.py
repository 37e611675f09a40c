"""Frames of a streamed answer, as clients read them."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from sluice_gateway.domain.model import Usage
from sluice_gateway.domain.outcome import AnswerChoice, RunFailedError, RunResult
from sluice_gateway.domain.pieces import Delta, Logprob
from sluice_gateway.domain.run import RunState
from sluice_gateway.domain.tools import ToolCall, ToolCallDelta
from sluice_gateway.http.chat import _frames
from sluice_gateway.http.chunks import Chunks
from sluice_gateway.http.completions import Shape, completion
from sluice_servicekit.errors import Unavailable

CALL = ToolCall("f", "{}", "c1")


def _shape(**changes: Any) -> Shape:
    return Shape(**{"model": "m", "created": 7, **changes})


def _result(**changes: Any) -> RunResult:
    return RunResult(
        **{"run_id": "r", "state": RunState.ANSWERED, "text": "It is.", "finish_reason": "stop", **changes}
    )


async def _streamed(
    *events: str | Delta | RunResult | RunFailedError, include_usage: bool = False, **shape: Any
) -> list[Any]:
    async def rest() -> AsyncGenerator[str | Delta | RunResult, None]:
        for event in events[1:]:
            if isinstance(event, RunFailedError):
                raise event
            yield event

    chunks = Chunks("r", _shape(**shape), include_usage=include_usage)
    assert not isinstance(events[0], RunFailedError)
    frames = [frame async for frame in _frames(events[0], rest(), chunks)]
    assert all(frame.startswith(b"data: ") and frame.endswith(b"\n\n") for frame in frames)
    contents = [frame.removeprefix(b"data: ").strip() for frame in frames]
    return [content if content == b"[DONE]" else json.loads(content) for content in contents]


def _choices(frames: list[Any]) -> list[tuple[int, dict[str, Any], str | None]]:
    return [
        (choice["index"], choice["delta"], choice["finish_reason"])
        for frame in frames
        if frame != b"[DONE]"
        for choice in frame["choices"]
    ]


async def test_plain_stream():
    frames = await _streamed("It is.", _result(), include_usage=True)
    assert _choices(frames) == [
        (0, {"role": "assistant", "content": ""}, None),
        (0, {"content": "It is."}, None),
        (0, {}, "stop"),
    ]
    *before, usage, done = frames
    assert done == b"[DONE]"
    assert all(frame["usage"] is None for frame in before)
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 0)
    assert {(frame["id"], frame["object"], frame["created"], frame["model"]) for frame in frames[:-1]} == {
        ("chatcmpl-r", "chat.completion.chunk", 7, "m")
    }
    assert "usage" not in (await _streamed("It is.", _result()))[0]


async def test_calls_in_both_forms():
    deltas = (
        Delta(tool_calls=(ToolCallDelta(0, "c1", "f"),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments="{}"),)),
    )
    ended = _result(text="", finish_reason="tool_calls", tool_calls=(CALL,))
    first, second, last = _choices(await _streamed(*deltas, ended))[1:]
    named = {"index": 0, "function": {"name": "f", "arguments": ""}, "id": "c1", "type": "function"}
    assert first[1] == {"content": None, "tool_calls": [named]}
    assert second[1] == {"content": None, "tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    assert last == (0, {}, "tool_calls")
    first, second, last = _choices(await _streamed(*deltas, ended, functions=True))[1:]
    assert first[1] == {"content": None, "function_call": {"name": "f", "arguments": ""}}
    assert second[1] == {"content": None, "function_call": {"arguments": "{}"}}
    assert last[2] == "function_call"


async def test_several_answers_each_have_their_own_index():
    ended = _result(others=(AnswerChoice("So.", "length"),), system_fingerprint="fp")
    frames = await _streamed("It is.", Delta("So.", 1), ended, choices=2)
    assert [(index, reason) for index, _, reason in _choices(frames)] == [
        (0, None),
        (1, None),
        (0, None),
        (1, None),
        (0, "stop"),
        (1, "length"),
    ]
    assert ["sluice" in frame for frame in frames[-3:-1]] == [True, False]
    assert frames[-2]["system_fingerprint"] == "fp"


async def test_blocked_stream_says_why_after_what_has_left():
    blocked = _result(state=RunState.BLOCKED, text="Withheld.", finish_reason="content_filter")
    assert _choices(await _streamed("It is.", blocked))[1:] == [
        (0, {"content": "It is."}, None),
        (0, {"content": "Withheld."}, None),
        (0, {}, "content_filter"),
    ]
    # A server's own filter has said nothing.
    filtered = _result(finish_reason="content_filter")
    assert _choices(await _streamed("It is.", filtered))[1:] == [
        (0, {"content": "It is."}, None),
        (0, {}, "content_filter"),
    ]


async def test_stream_that_fails_ends_in_an_error_and_is_not_done():
    frames = await _streamed("It is.", RunFailedError("r", "generate", Unavailable("gone")))
    assert frames[-1]["error"]["message"] == "generate: gone"
    assert _choices(frames[:-1])[-1] == (0, {"content": "It is."}, None)


async def test_log_probabilities_have_the_chunk_of_their_text():
    token = Logprob("It is.", -0.5, b"It", (Logprob("So", -1.5),))
    frames = await _streamed(Delta("It is.", logprobs=(token,)), " More.", _result(), logprobs=True)
    other = {"token": "So", "logprob": -1.5, "bytes": None}
    told = {"token": "It is.", "logprob": -0.5, "bytes": [73, 116], "top_logprobs": [other]}
    assert [frame["choices"][0]["logprobs"] for frame in frames[1:3]] == [
        {"content": [told], "refusal": None},
        None,
    ]


async def test_refusal_has_a_seat_of_its_own():
    refused = _result(refused=True, unanswerable=True)
    assert _choices(await _streamed(refused))[1:] == [(0, {"refusal": "It is."}, None), (0, {}, "stop")]
    message = completion(refused, _shape())["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "It is.")


def test_whole_answer():
    result = _result(
        text="",
        finish_reason="tool_calls",
        tool_calls=(CALL,),
        usage=Usage(3, 4),
        others=(AnswerChoice("So.", "stop", logprobs=(Logprob("So.", -0.5),)),),
    )
    body = completion(result, _shape(logprobs=True))
    first, second = body["choices"]
    function = {"name": "f", "arguments": "{}"}
    assert first["message"]["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert (first["message"]["content"], first["logprobs"], first["index"]) == (None, None, 0)
    assert second["message"]["content"] == "So."
    assert second["logprobs"]["content"][0]["top_logprobs"] == []
    assert (body["usage"]["total_tokens"], body["system_fingerprint"]) == (7, None)
    [first, _] = completion(result, _shape(functions=True))["choices"]
    assert (first["message"]["function_call"], first["finish_reason"]) == (function, "function_call")
    assert "tool_calls" not in first["message"]
