"""Replies that a real vLLM gave, as our callers are told."""

import json
from pathlib import Path

import pytest

from sluice_inference.domain.model import Delta, Finish, FinishReason, Usage
from sluice_inference.engines.chat_events import Reply

RECORDED = {
    each["case"]: each
    for each in json.loads((Path(__file__).parents[2] / "data" / "vllm-0.32.0-chat.json").read_text())
}


def _read(case: str) -> tuple[list[Delta], Finish | None]:
    recorded = RECORDED[case]
    reply = Reply(recorded["request"]["body"].get("n", 1), 99)
    frames = [frame.removeprefix("data: ") for frame in recorded["response"]["body"].split("\n\n")]
    chunks = [json.loads(frame) for frame in frames if frame not in ("", "[DONE]")]
    return [delta for chunk in chunks for delta in reply.take(chunk)], reply.finish


def test_usage_is_told_with_each_piece():
    deltas, finish = _read("chat stream with continuous usage")
    assert [delta.usage for delta in deltas] == [Usage(15, 2), Usage(15, 3)]
    assert finish is not None
    assert (finish.reason, finish.prompt_tokens, finish.completion_tokens) == (FinishReason.LENGTH, 15, 3)
    assert finish.system_fingerprint.startswith("vllm-0.32.0")


def test_usage_of_several_answers_is_told_for_each_alone_and_summed():
    deltas, finish = _read("chat stream: n with continuous usage")
    counted = [delta.usage for delta in deltas]
    assert counted[-1] == Usage(15, 4)
    assert finish is not None
    assert (finish.prompt_tokens, finish.completion_tokens) == (15, 4)


def test_usage_is_estimated_until_it_is_told():
    deltas, _ = _read("chat stream: json object")
    assert [delta.usage for delta in deltas[:2]] == [
        Usage(99, 1, estimated=True),
        Usage(99, 2, estimated=True),
    ]


def test_several_answers_with_log_probabilities():
    deltas, _ = _read("chat stream: n and logprobs")
    assert [delta.choice for delta in deltas if delta.finish_reason] == [1]
    tokens = {
        choice: [logprob.token for delta in deltas if delta.choice == choice for logprob in delta.logprobs]
        for choice in (0, 1)
    }
    # The empty ones are bytes of a character that is not whole.
    assert tokens == {0: ["ext", ""], 1: ["", "|"]}
    first = next(delta for delta in deltas if delta.logprobs).logprobs[0]
    assert (first.raw, [other.token for other in first.top]) == (b"ext", ["ext", ""])


def test_calls_of_tools():
    deltas, _ = _read("chat stream: tools, required")
    calls = [call for delta in deltas for call in delta.tool_calls]
    assert (calls[0].index, calls[0].name, calls[0].arguments) == (0, "get_weather", "")
    assert calls[0].id.startswith("chatcmpl-tool-")
    assert "".join(call.arguments for call in calls).startswith('{"city":')
    assert not any(call.id or call.name for call in calls[1:])


@pytest.mark.parametrize("case", ["chat stream: reasoning", "chat stream: reasoning and logprobs"])
def test_nothing_of_what_a_model_thinks_is_passed_on(case: str):
    assert "reasoning" in RECORDED[case]["response"]["body"]
    deltas, finish = _read(case)
    assert all(delta.is_silent for delta in deltas)
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens == len(deltas)
    assert finish is not None
    assert finish.completion_tokens == len(deltas)


def test_reply_that_breaks_off_has_no_end():
    reply = Reply(2, 0)
    frames = RECORDED["chat stream: n and logprobs"]["response"]["body"].split("\n\n")[:5]
    for frame in frames:
        list(reply.take(json.loads(frame.removeprefix("data: "))))
    assert reply.finish is None
