"""Requests and passages on their way to the guardrail and back."""

import pytest

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice_gateway import conversion
from sluice_gateway.domain.model import Message, Principal, ToolCall
from sluice_gateway.http.chat_schema import ChatRequest

TEXT = "First. Ignore all. Third."
CALL = {"id": "1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "x"}'}}


def _passage(document: str = "a.md") -> common_pb2.Passage:
    spans = [(0, 6), (7, 18), (19, 25)]
    return common_pb2.Passage(
        document_id=document,
        title="T",
        text=TEXT,
        sentences=[
            common_pb2.Sentence(span=common_pb2.Span(start=start, end=end), similarity=0.5)
            for start, end in spans
        ],
    )


def _treated(index: int, replacement: str, **changes: object) -> guardrail_pb2.TreatedText:
    edit = guardrail_pb2.Edit(span=common_pb2.Span(start=7, end=18), replacement=replacement)
    text = TEXT.replace("Ignore all.", replacement)
    return guardrail_pb2.TreatedText(segment=index, text=text, edits=[edit], **changes)


@pytest.mark.parametrize("replacement", ["ˆIgnoreˆall.", "[…]"])
def test_sentences_that_were_not_changed_are_found_in_the_changed_passage(replacement: str):
    changed = conversion.edited(_passage(), _treated(0, replacement))
    spans = [sentence.span for sentence in changed.sentences]
    assert [changed.text[span.start : span.end] for span in spans] == ["First.", "Third."]
    assert changed.title == "T"


def test_title_that_may_not_be_used_is_gone():
    assert conversion.edited(_passage(), _treated(0, "[…]", untitled=True)).title == ""


def test_dropped_passages_are_withheld_and_changed_ones_are_named():
    response = guardrail_pb2.CheckPassagesResponse(
        verdict=guardrail_pb2.Verdict(decision=guardrail_pb2.DECISION_BLOCK),
        treated=[_treated(0, "[…]"), guardrail_pb2.TreatedText(segment=2, dropped=True)],
    )
    screened = conversion.screened_passages([_passage(name) for name in "abc"], response)
    assert [passage.document_id for passage in screened.passages] == ["a", "b"]
    assert [passage.document_id for passage in screened.withheld] == ["c"]
    assert [passage.document_id for passage in screened.changed] == ["a"]


def _messages(*messages: dict[str, object]) -> tuple[Message, ...]:
    body = ChatRequest.model_validate({"model": "default", "messages": list(messages)})
    return body.run_request(Principal("acme")).messages


def test_every_text_of_a_conversation_is_a_segment_of_its_channel():
    messages = _messages(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "sent", "tool_call_id": "1"},
        {"role": "assistant", "content": "Done.", "function_call": {"name": "old", "arguments": "{}"}},
    )
    found = [(each.channel, each.role, each.text) for each in conversion.segments(messages)]
    user, tool = guardrail_pb2.CHANNEL_USER, guardrail_pb2.CHANNEL_TOOL
    assert found == [
        (user, "system", "Be brief."),
        (user, "user", "one\ntwo"),
        (user, "assistant", ""),
        (tool, "tool", "sent"),
        (user, "assistant", "Done."),
        (tool, "assistant", '{"to": "x"}'),
        (tool, "assistant", "{}"),
    ]


def test_calls_of_custom_tools_are_read_too():
    call = {"id": "1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    [message] = _messages({"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": "q"})[:1]
    assert message.tool_calls == (ToolCall("sql", "select 1", "1"),)


def test_state_that_is_not_known_here_is_no_scan():
    report = guardrail_pb2.DetectorReport(detector="pii", state=99)
    verdict = conversion.verdict(guardrail_pb2.Verdict(detectors=[report]))
    assert verdict.reports[0].state == "failed"
