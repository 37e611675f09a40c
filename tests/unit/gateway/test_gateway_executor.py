"""A run as a state machine, over doubles of the four services and a journal in memory."""

import asyncio
import json
from dataclasses import replace

import pytest

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.objects.knowledge_base import (
    Embedding,
    Keyword,
    KnowledgeBaseSpec,
    OpenAIEmbedding,
    SearchServer,
    TeiEmbedding,
)
from sluice_api.objects.pipeline import Audit
from sluice_api.objects.retrieval import Fusion, Retrieval, TokenMatch
from sluice_api.objects.steps import OnFail
from sluice_api.snapshot import Snapshot
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.executor import Executor
from sluice_gateway.domain.model import (
    Decision,
    Finding,
    Finish,
    Message,
    Principal,
    RunRequest,
    Sampling,
    Verdict,
)
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.domain.ports import Services
from sluice_gateway.domain.recording import digest
from sluice_gateway.domain.run import RunState, StepState
from sluice_servicekit.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)
from support.run_bench import Bench, verdict


def _request(stream: bool = False, text: str = "How long?", model: str = "default") -> RunRequest:
    return RunRequest(
        pipeline=model,
        principal=Principal("acme"),
        messages=(Message("user", text),),
        sampling=Sampling(),
        filter=None,
        stream=stream,
    )


ALONE = Message("user", "In which city is the Corrib lathe made?")
ALL = ("guard_input", "retrieve", "rerank", "guard_passages", "generate", "guard_output")


async def test_answers_in_six_steps_and_waits_for_the_journal():
    bench = Bench()
    result = await bench.executor().admit(_request()).result()
    assert result.text == "It is forty [1].\n\nSources:\n[1] A (a.md)"
    assert (result.state, result.finish_reason) == (RunState.ANSWERED, "stop")
    assert [citation.document_id for citation in result.citations] == ["a.md"]
    assert bench.states == dict.fromkeys(ALL, StepState.SUCCEEDED)
    assert bench.record.state is RunState.ANSWERED
    assert bench.journal.commits == 1


async def test_best_effort_audit_does_not_wait():
    bench = Bench(audit=Audit.BEST_EFFORT)
    await bench.executor().admit(_request()).result()
    assert bench.journal.commits == 0


@pytest.mark.parametrize("step", ALL)
async def test_unavailable_step_is_tried_again(step: str):
    bench = Bench()
    bench.world.fail[step] = [Unavailable("gone"), Unavailable("gone")]
    result = await bench.executor().admit(_request()).result()
    assert result.state is RunState.ANSWERED
    assert {s.name: s.attempt for s in bench.record.steps}[step] == 3


@pytest.mark.parametrize("step", ["guard_input", "retrieve", "generate", "guard_output"])
async def test_step_that_fails_for_good_fails_the_run_and_is_named(step: str):
    bench = Bench(retries=1)
    bench.world.fail[step] = [Unavailable("gone")] * 9
    with pytest.raises(RunFailedError) as raised:
        await bench.executor().admit(_request()).result()
    assert (raised.value.step, raised.value.error.message) == (step, "gone")
    assert bench.record.state is RunState.FAILED
    assert bench.record.reason == f"{step}: UNAVAILABLE"
    assert bench.states[step] is StepState.FAILED
    assert bench.world.calls.count(step) == 2


async def test_what_is_wrong_is_not_tried_again():
    bench = Bench()
    bench.world.fail["retrieve"] = [NotFound("no such base")] * 3
    with pytest.raises(RunFailedError):
        await bench.executor().admit(_request()).result()
    assert bench.world.calls.count("retrieve") == 1


async def test_reranker_that_fails_degrades():
    bench = Bench()
    bench.world.fail["rerank"] = [Unavailable("gone")] * 9
    result = await bench.executor().admit(_request()).result()
    assert result.state is RunState.DEGRADED
    assert "forty" in result.text
    assert bench.record.reason == "rerank: UNAVAILABLE"


async def test_request_overrides_the_pipelines_parameters_one_by_one():
    bench = Bench(retrieval=Retrieval(max_per_document=2, diversity=0.5, fusion=Fusion(k=60)))
    given = Retrieval(token_match=TokenMatch.OFF, diversity=0.1, fusion=Fusion(dense=0.5))
    await _answer(bench, replace(_request(), retrieval=given))
    [search] = bench.world.searches
    assert search.parameters == Retrieval(
        max_per_document=2, diversity=0.1, token_match=TokenMatch.OFF, fusion=Fusion(k=60, dense=0.5)
    )


async def test_all_knowledge_bases_of_the_pipeline_are_searched_in_one_call_that_encodes_the_question():
    bench = Bench(more_knowledge_bases=("law", "press"))
    await _answer(bench, _request())
    [search] = bench.world.searches
    assert (search.knowledge_base, search.more_knowledge_bases) == ("default", ("law", "press"))
    assert search.vectors is None


async def test_leg_that_was_left_out_degrades_and_the_run_answers():
    bench = Bench()
    bench.world.left_out = ("keyword",)
    bench.world.fail["rerank"] = [Unavailable("gone")] * 9
    result = await _answer(bench, _request())
    assert result.state is RunState.DEGRADED
    assert "forty" in result.text
    assert bench.record.reason == "retrieve: LEGS_LEFT_OUT (keyword); rerank: UNAVAILABLE"
    [step] = [step for step in bench.record.steps if step.name == "retrieve"]
    assert (step.state, step.reason) == (StepState.SUCCEEDED, "LEGS_LEFT_OUT (keyword)")


async def test_journal_says_how_many_passages_each_leg_found():
    bench = Bench()
    await _answer(bench, _request())
    assert _detail(bench, "retrieve")["legs"] == {"dense": 2, "sparse": 1}


CONVERSATION = (
    Message("system", "Be brief."),
    Message("user", "How long does the first kiln take?"),
    Message("assistant", "Nine hours [1]."),
    Message("user", "And the second one?"),
)
JOINED = "How long does the first kiln take? And the second one?"


def _conversation(**changes: object) -> RunRequest:
    return replace(_request(), messages=CONVERSATION, **changes)


async def _answer(bench: Bench, request: RunRequest) -> RunResult:
    return await bench.executor().admit(request).result()


def _detail(bench: Bench, name: str) -> dict[str, object]:
    return next(json.loads(step.detail) for step in bench.record.steps if step.name == name)


async def test_question_that_leans_is_rewritten_after_the_gate_and_before_retrieval():
    bench = Bench(rewrite=OnFail.DEGRADE)
    bench.world.wait["guard_input"] = 0.02
    result = await _answer(bench, replace(_conversation(), priority=Priority.BATCH))
    assert bench.world.priority is Priority.BATCH
    assert bench.world.calls == ["guard_input", "rewrite", *ALL[1:]]
    assert [step.name for step in bench.record.steps] == bench.world.calls
    assert bench.world.queries == [bench.world.rewritten] * 2
    assert tuple(bench.world.shown) == CONVERSATION[1:]
    assert result.state is RunState.ANSWERED
    detail = _detail(bench, "rewrite")
    assert (detail["model_server"], detail["model"], detail["changed"]) == ("m", "double", True)
    assert detail["query_hash"] == digest(bench.world.rewritten)
    assert "kiln" not in str(bench.journal.events)


ENDPOINT = {"url": "http://models", "dimension": 8}


@pytest.mark.parametrize(
    "spec",
    [
        KnowledgeBaseSpec(embedding=Embedding(open_ai=OpenAIEmbedding(model="m", **ENDPOINT))),
        KnowledgeBaseSpec(embedding=Embedding(tei=TeiEmbedding(**ENDPOINT))),
        KnowledgeBaseSpec(keyword=Keyword(open_search=SearchServer(url="http://words"))),
        KnowledgeBaseSpec(keyword=Keyword(elasticsearch=SearchServer(url="http://words"))),
    ],
)
@pytest.mark.parametrize("place", ["default", "other"])
async def test_question_that_goes_to_a_server_waits_for_the_gate(spec: KnowledgeBaseSpec, place: str):
    bench = Bench(more_knowledge_bases=("other",), specs={place: spec})
    bench.world.input_verdict = verdict(Decision.BLOCK)
    bench.world.wait["guard_input"] = 0.02
    result = await _answer(bench, _request())
    assert (result.state, bench.world.calls, bench.world.queries) == (RunState.BLOCKED, ["guard_input"], [])
    bench.world.input_verdict = verdict()
    assert (await _answer(bench, _request())).state is RunState.ANSWERED


async def test_nothing_is_rewritten_without_need():
    for bench, request in (
        (Bench(), _conversation()),
        (Bench(rewrite=OnFail.DEGRADE), _request(text="And the second one?")),
        (Bench(rewrite=OnFail.DEGRADE), replace(_conversation(), messages=(*CONVERSATION, ALONE))),
    ):
        assert (await _answer(bench, request)).state is RunState.ANSWERED
        assert "rewrite" not in bench.world.calls
        assert bench.world.queries[0] in (JOINED, "And the second one?", ALONE.content)


async def test_blocked_question_reaches_no_engine():
    bench = Bench(rewrite=OnFail.DEGRADE)
    bench.world.input_verdict = verdict(Decision.BLOCK)
    assert (await _answer(bench, _conversation())).state is RunState.BLOCKED
    assert bench.world.calls == ["guard_input"]


async def test_rewriting_that_fails_leaves_the_query_of_the_rules():
    bench = Bench(rewrite=OnFail.DEGRADE)
    bench.world.fail["rewrite"] = [Unavailable("gone")] * 9
    result = await _answer(bench, _conversation())
    assert (result.state, bench.record.reason) == (RunState.DEGRADED, "rewrite: UNAVAILABLE")
    assert bench.world.queries == [JOINED] * 2
    assert bench.world.calls.count("rewrite") == 3


async def test_every_reason_of_a_degraded_run_is_told():
    bench = Bench(rewrite=OnFail.DEGRADE, retries=0)
    bench.world.fail["rewrite"], bench.world.fail["rerank"] = [Unavailable("gone")], [Unavailable("gone")]
    await _answer(bench, _conversation())
    assert bench.record.reason == "rewrite: UNAVAILABLE; rerank: UNAVAILABLE"


async def test_rewriting_that_must_not_fail_fails_the_run():
    bench = Bench(rewrite=OnFail.ABORT, retries=0)
    bench.world.fail["rewrite"] = [Unavailable("gone")]
    with pytest.raises(RunFailedError) as raised:
        await _answer(bench, _conversation())
    assert raised.value.step == "rewrite"
    assert "retrieve" not in bench.world.calls


@pytest.mark.parametrize(
    ("rewritten", "reason"),
    [
        ("", "REWRITE_EMPTY"),
        ("The weather tomorrow?", "REWRITE_UNRELATED"),
        ("kiln " * 100, "REWRITE_TOO_LONG"),
    ],
)
async def test_absurd_rewriting_is_not_used_and_recorded(rewritten: str, reason: str):
    bench = Bench(rewrite=OnFail.DEGRADE)
    bench.world.rewritten = rewritten
    result = await _answer(bench, _conversation())
    assert result.state is RunState.ANSWERED
    assert bench.world.queries == [JOINED] * 2
    assert {step.name: step.reason for step in bench.record.steps}["rewrite"] == reason
    assert _detail(bench, "rewrite")["changed"] is False


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_that_says_there_is_none_cites_nothing(stream: bool):
    bench = Bench(streaming=StreamingMode.WINDOW)
    bench.world.finish = Finish("stop", model="double", unanswerable=True)
    result = await _answer(bench, _request(stream=stream))
    assert (result.unanswerable, result.citations, result.text) == (True, (), "It is forty [1].")
    assert _detail(bench, "generate")["unanswerable"] is True


async def test_slow_step_fails_by_its_timeout():
    bench = Bench(retries=0)
    bench.world.wait["retrieve"] = 30
    with pytest.raises(RunFailedError) as raised:
        await bench.executor().admit(_request()).result()
    assert isinstance(raised.value.error, DeadlineExceeded)
    assert bench.record.reason == "retrieve: DEADLINE_EXCEEDED"


async def test_run_never_outlives_its_timeout():
    bench = Bench(retries=9, timeout=0.2)
    bench.world.wait["generate"] = 30
    started = asyncio.get_running_loop().time()
    with pytest.raises(RunFailedError):
        await bench.executor().admit(_request()).result()
    assert asyncio.get_running_loop().time() - started < 10


async def test_input_block_discards_what_was_retrieved():
    bench = Bench()
    bench.world.input_verdict = verdict(Decision.BLOCK)
    bench.world.wait["retrieve"] = 30
    result = await bench.executor().admit(_request()).result()
    assert (result.state, result.finish_reason, result.text) == (RunState.BLOCKED, "content_filter", "No.")
    assert bench.states == {"guard_input": StepState.SUCCEEDED, "retrieve": StepState.SKIPPED}
    assert "generate" not in bench.world.calls


async def test_output_block_withholds_the_answer():
    bench = Bench()
    bench.world.output_verdict = verdict(Decision.BLOCK)
    events = [event async for event in bench.executor().admit(_request(stream=True)).events()]
    assert [type(event) for event in events] == [RunResult]
    assert events[0].text == "No."


def _found(decision: Decision, category: str) -> Finding:
    return Finding("pii", category, 0.9, 0.5, decision, 0, 3, 9, "raw")


def _flagging(category: str, decision: Decision = Decision.FLAG) -> Verdict:
    """A verdict with a finding that decides, and one below its threshold."""
    findings = (_found(decision, category), _found(Decision.ALLOW, "phone"))
    return Verdict(decision, "PII", "No.", "default", "1", findings)


@pytest.mark.parametrize("mode", list(StreamingMode))
async def test_flags_of_both_gates_are_in_the_result(mode: StreamingMode):
    bench = Bench(streaming=mode)
    bench.world.input_verdict = _flagging("email")
    bench.world.output_verdict = _flagging("iban")
    events = [event async for event in bench.executor().admit(_request(stream=True)).events()]
    flagged = [(flag.step, flag.finding.category) for flag in events[-1].flags]
    assert events[-1].state is RunState.ANSWERED
    assert flagged == [("guard_input", "email"), ("guard_output", "iban")]


async def test_flags_of_the_input_gate_stay_where_the_output_gate_blocks():
    bench = Bench()
    bench.world.input_verdict = _flagging("email")
    bench.world.output_verdict = _flagging("iban", Decision.BLOCK)
    result = await bench.executor().admit(_request()).result()
    assert result.state is RunState.BLOCKED
    assert [(flag.step, flag.finding.category) for flag in result.flags] == [("guard_input", "email")]


@pytest.mark.parametrize("mode", list(StreamingMode))
async def test_streamed_pieces_add_up_to_the_result(mode: StreamingMode):
    bench = Bench(streaming=mode)
    events = [event async for event in bench.executor().admit(_request(stream=True)).events()]
    result = events[-1]
    assert isinstance(result, RunResult)
    assert "".join(event for event in events[:-1]) == result.text
    assert bench.states == dict.fromkeys(ALL, StepState.SUCCEEDED)
    if mode is not StreamingMode.WITHHOLD:
        assert len(events) > 2


async def test_window_block_ends_the_stream():
    bench = Bench(streaming=StreamingMode.WINDOW)
    bench.world.output_verdict = verdict(Decision.BLOCK)
    events = [event async for event in bench.executor().admit(_request(stream=True)).events()]
    assert events[-1].state is RunState.BLOCKED
    assert bench.record.state is RunState.BLOCKED


@pytest.mark.parametrize("mode", [StreamingMode.WINDOW, StreamingMode.DETECT])
async def test_stream_that_breaks_off_fails_and_is_not_tried_again(mode: StreamingMode):
    bench = Bench(streaming=mode)
    bench.world.fail_after_piece = Unavailable("broke off")
    received = []

    async def read() -> None:
        async for event in bench.executor().admit(_request(stream=True)).events():
            received.append(event)  # noqa: PERF401 - what came before the failure counts

    with pytest.raises(RunFailedError) as raised:
        await read()
    assert raised.value.step == "generate"
    assert received == ["It is "]
    assert bench.world.calls.count("generate") == 1
    assert bench.record.state is RunState.FAILED


async def test_caller_who_leaves_cancels_the_run():
    bench = Bench()
    bench.world.wait["generate"] = 30
    executor = bench.executor()
    running = asyncio.create_task(executor.admit(_request()).result())
    async with asyncio.timeout(5):
        await bench.world.called["generate"].wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.record.state is RunState.CANCELLED
    assert bench.states["generate"] is StepState.CANCELLED


async def test_stream_that_is_closed_half_way_cancels_the_run():
    bench = Bench(streaming=StreamingMode.DETECT)
    events = bench.executor().admit(_request(stream=True)).events()
    assert await anext(events) == "It is "
    await events.aclose()
    assert bench.record.state is RunState.CANCELLED


async def test_stream_read_by_several_tasks_keeps_its_context():
    bench = Bench(streaming=StreamingMode.DETECT)
    events = bench.executor().admit(_request(stream=True)).events()

    async def following() -> str | RunResult | None:
        return await anext(events, None)

    received = []
    while (event := await asyncio.create_task(following())) is not None:  # as a heartbeat reads it
        received.append(event)
    assert received[-1].state is RunState.ANSWERED


async def test_fault_of_ours_still_ends_the_run():
    bench = Bench()
    bench.world.input_verdict = None
    with pytest.raises(RunFailedError) as raised:
        await bench.executor().admit(_request()).result()
    assert raised.value.error.reason == "INTERNAL"
    assert bench.record.state is RunState.FAILED


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (_request(model="nope"), NotFound),
        (_request(text="   "), InvalidArgument),
    ],
)
async def test_admission_refuses(request_: RunRequest, error: type[ServiceError]):
    with pytest.raises(error):
        Bench().executor().admit(request_)


async def test_too_many_runs_are_refused_and_counted_down():
    bench = Bench(max_in_flight=1)
    bench.world.wait["generate"] = 0.05
    executor = bench.executor()
    running = asyncio.create_task(executor.admit(_request()).result())
    await asyncio.sleep(0.01)
    with pytest.raises(ResourceExhausted) as raised:
        executor.admit(_request())
    assert raised.value.reason == "TOO_MANY_RUNS"
    await running
    executor.admit(_request())


async def test_refused_question_is_a_failed_run_of_one_step():
    bench = Bench()
    failed = await bench.executor().refuse(Principal("acme"), "free text", InvalidArgument("bad"))
    assert (failed.run_id, failed.step) == ("run-0", "admit")
    record = bench.record
    assert (record.state, record.reason, record.pipeline) == (RunState.FAILED, "admit: INVALID_ARGUMENT", "")


async def test_gateway_without_a_snapshot_is_unavailable_and_says_so_in_the_journal():
    def none_yet() -> Snapshot:
        raise Unavailable("starting")

    bench = Bench()
    services = Services(bench.world, bench.world, bench.world, bench.world)
    executor = Executor(services, bench.journal, bench.clock, none_yet, lambda: "run-0", lambda: "", 1)
    with pytest.raises(Unavailable):
        executor.admit(_request())
    await executor.refuse(Principal("acme"), "default", Unavailable("starting"))
    assert bench.record.reason == "admit: UNAVAILABLE"


async def test_required_journal_that_is_full_refuses_the_run():
    bench = Bench()
    bench.journal.full = True
    with pytest.raises(RunFailedError) as raised:
        await bench.executor().admit(_request()).result()
    assert raised.value.error.reason == "JOURNAL_FULL"
    assert bench.world.calls == []


async def test_best_effort_journal_that_is_full_drops_and_counts():
    bench = Bench(audit=Audit.BEST_EFFORT)
    bench.journal.full = True
    result = await bench.executor().admit(_request()).result()
    assert result.state is RunState.ANSWERED
    assert bench.clock.drops > 0


async def test_journal_holds_no_content():
    bench = Bench()
    await bench.executor().admit(_request(text="A very private question?")).result()
    written = str(bench.journal.events)
    assert "private" not in written
    assert "forty" not in written
