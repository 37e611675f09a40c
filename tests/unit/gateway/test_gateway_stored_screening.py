"""Documents screened as they are stored, over a double of the guardrail."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from sluice.common.v1 import common_pb2
from sluice.gateway.v1 import gateway_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_gateway.domain.model import Principal
from sluice_gateway.stored_screening import StoredScreening
from sluice_servicekit.errors import DeadlineExceeded, Unavailable

STORED, PART = retriever_pb2.INGEST_OUTCOME_STORED, retriever_pb2.INGEST_OUTCOME_IN_PROGRESS


@dataclass
class Guard:
    """Flags passages that hold `bad`."""

    fail: list[Exception] = field(default_factory=list)
    partial: bool = False
    shadow: bool = False
    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_go_on.set()

    async def screen_passages(
        self, policy: str, principal: Principal, passages: Sequence[common_pb2.Passage], *, ahead: bool
    ) -> guardrail_pb2.CheckPassagesResponse:
        assert ahead
        self.calls.append((policy, [passage.chunk_id for passage in passages]))
        await self.may_go_on.wait()
        if self.fail:
            raise self.fail.pop(0)
        findings = [
            guardrail_pb2.Finding(
                detector="document-injection",
                category="override",
                score=0.9,
                decision=guardrail_pb2.DECISION_FLAG,
                segment=index,
                span=common_pb2.Span(start=read.index("bad"), end=read.index("bad") + 3),
            )
            for index, passage in enumerate(passages)
            if "bad" in (read := f"{passage.title}\n{passage.text}" if passage.title else passage.text)
        ]
        mode = guardrail_pb2.MODE_SHADOW if self.shadow else guardrail_pb2.MODE_ENFORCE
        return guardrail_pb2.CheckPassagesResponse(
            verdict=guardrail_pb2.Verdict(policy=policy, findings=findings, partial=self.partial, mode=mode)
        )


def _reply(
    name: str, *texts: str, outcome: int = STORED, title: str = "Title"
) -> retriever_pb2.IngestResponse:
    return retriever_pb2.IngestResponse(
        document_id=name,
        outcome=outcome,
        written=[
            retriever_pb2.WrittenChunk(chunk_id=f"{name}-{index}", title=title, text=text)
            for index, text in enumerate(texts)
        ],
    )


async def _replies(*replies: retriever_pb2.IngestResponse) -> AsyncGenerator[retriever_pb2.IngestResponse]:
    for reply in replies:
        yield reply


async def _screened(
    guard: Guard, *replies: retriever_pb2.IngestResponse, policies: Sequence[str] = ("default",)
) -> list[gateway_pb2.IngestResponse]:
    screening = StoredScreening(guard, Principal("acme"), "default", policies)
    return [response async for response in screening.screened(_replies(*replies))]


async def test_document_that_instructs_is_named_with_chunk_and_place():
    [clean, flagged] = await _screened(Guard(), _reply("a", "good"), _reply("b", "good", "so bad it is"))
    assert list(clean.flags) == []
    [flag] = flagged.flags
    assert (flag.chunk_id, flag.policy, flag.category) == ("b-1", "default", "override")
    assert "so bad it is"[flag.span.start : flag.span.end] == "bad"
    assert list(flagged.result.written) == []


async def test_title_that_instructs_has_no_place_in_the_text():
    [response] = await _screened(Guard(), _reply("a", "good", title="bad"))
    assert not response.flags[0].HasField("span")


async def test_large_document_is_flagged_by_its_last_reply_with_what_all_parts_hold():
    part = _reply("a", "bad", outcome=PART)
    [first, last] = await _screened(Guard(), part, _reply("a", "good", "bad"))
    assert (len(first.flags), len(last.flags)) == (0, 2)


async def test_all_policies_that_guard_the_knowledge_base_are_asked():
    guard = Guard()
    [response] = await _screened(guard, _reply("a", "bad"), policies=("one", "two"))
    assert [flag.policy for flag in response.flags] == ["one", "two"]
    assert [policy for policy, _ in guard.calls] == ["one", "two"]


@pytest.mark.parametrize(
    ("guard", "unscreened"),
    [
        (Guard(fail=[Unavailable("gone")]), "UNAVAILABLE"),
        (Guard(fail=[KeyError("a fault")]), "INTERNAL"),
        (Guard(partial=True), "NOT_SCANNED"),
    ],
)
async def test_what_was_not_screened_is_stored_and_said_to_be_unscreened(guard: Guard, unscreened: str):
    [first, second] = await _screened(guard, _reply("a", "good"), _reply("b", "good"))
    assert (first.result.outcome, first.unscreened) == (STORED, unscreened)
    assert second.unscreened == ("NOT_SCANNED" if guard.partial else "")


async def test_guardrail_that_is_late_once_does_not_hold_up_the_rest():
    guard = Guard(fail=[DeadlineExceeded("late")])
    responses = await _screened(guard, _reply("a", "good"), _reply("b", "good"))
    assert [response.unscreened for response in responses] == ["DEADLINE_EXCEEDED"] * 2
    assert len(guard.calls) == 1


async def test_no_more_findings_of_a_document_are_named_than_anyone_reads():
    [response] = await _screened(Guard(), _reply("a", *["bad"] * 150))
    assert len(response.flags) == 100


async def test_policy_that_only_records_flags_nothing():
    [response] = await _screened(Guard(shadow=True), _reply("a", "bad"))
    assert list(response.flags) == []


async def test_replies_without_chunks_are_passed_on_unasked():
    guard = Guard()
    refused = _reply("a", outcome=retriever_pb2.INGEST_OUTCOME_REFUSED)
    assert len(await _screened(guard, refused)) == 1
    assert guard.calls == []


async def test_storing_goes_on_while_screening_and_waits_behind_a_few():
    guard = Guard()
    guard.may_go_on.clear()
    given = 0

    async def many() -> AsyncGenerator[retriever_pb2.IngestResponse]:
        nonlocal given
        for index in range(100):
            given += 1
            yield _reply(str(index), "good")

    screening = StoredScreening(guard, Principal("acme"), "default", ("default",))
    async with aclosing(screening.screened(many())) as responses:
        first = asyncio.ensure_future(anext(responses))
        for _ in range(50):
            await asyncio.sleep(0)
        assert 1 < given < 10
        assert len(guard.calls) == 1
        guard.may_go_on.set()
        assert (await first).result.document_id == "0"
    assert given < 100


async def test_failure_of_the_storing_itself_is_passed_on():
    async def broken() -> AsyncGenerator[retriever_pb2.IngestResponse]:
        yield _reply("a", "good")
        raise Unavailable("the worker died")

    screening = StoredScreening(Guard(), Principal("acme"), "default", ("default",))
    responses = screening.screened(broken())
    assert (await anext(responses)).result.document_id == "a"
    with pytest.raises(Unavailable, match="worker died"):
        await anext(responses)
