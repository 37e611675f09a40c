"""What a run makes of its gates' verdicts: what goes on, as what, and what the journal is told."""

import json
from dataclasses import replace

import pytest

from sluice_api.objects.guardrail_policy import (
    Action,
    InputDetectors,
    LeakageDetector,
    Mode,
    OutputDetectors,
    PiiDetector,
    StreamingMode,
    TenantOverride,
    WasmPolicy,
    WasmStage,
)
from sluice_api.objects.model_server import Extractive, ModelServerSpec
from sluice_api.objects.steps import OnFail
from sluice_gateway.domain.model import (
    Decision,
    Finding,
    Message,
    Principal,
    Report,
    RunRequest,
    ToolCall,
    TreatedSegment,
    Verdict,
)
from sluice_gateway.domain.outcome import RunResult
from sluice_gateway.domain.run import RunState
from sluice_servicekit.errors import Unavailable
from support.run_bench import Bench, verdict

MODES = list(StreamingMode)
REDACTS = {"input": InputDetectors(pii=PiiDetector(action=Action.REDACT))}
PRE = WasmPolicy(name="w", module="sha256:" + "0" * 64, stages=(WasmStage.PRE,))
POST = WasmPolicy(name="w", module="sha256:" + "0" * 64, stages=(WasmStage.POST,))
REDACTED = (TreatedSegment(0, "How long is <email-1> to wait?"),)


def _asked(*messages: Message, stream: bool = False, tenant: str = "acme") -> RunRequest:
    said = messages or (Message("user", "How long?"),)
    return RunRequest("default", Principal(tenant), said, stream=stream)


async def _run(bench: Bench, request: RunRequest | None = None) -> tuple[str, RunResult]:
    events = [event async for event in bench.executor().admit(request or _asked()).events()]
    return "".join(event for event in events if isinstance(event, str)), events[-1]


def _detail(bench: Bench, name: str) -> dict[str, object]:
    return next(json.loads(step.detail) for step in bench.record.steps if step.name == name)


def _poisoned(decision: Decision) -> Verdict:
    finding = Finding("document-injection", "override", 0.9, 0.5, decision, 0, 3, 9, "raw")
    return Verdict(decision, "DOCUMENT_INJECTION", "It instructs.", findings=(finding,))


async def test_withheld_passage_degrades_and_the_rest_answers():
    bench = Bench()
    bench.world.fail["rerank"] = [Unavailable("gone")] * 9  # the retriever's two passages stay
    bench.world.passages_verdict = _poisoned(Decision.BLOCK)
    bench.world.withheld = ("b.md",)
    _, result = await _run(bench)
    assert result.state is RunState.DEGRADED
    assert bench.record.reason.endswith("guard_passages: DOCUMENT_INJECTION (1 withheld)")
    assert [passage.document_id for passage in bench.world.prompt.passages] == ["a.md"]
    assert bench.world.checked.passages == bench.world.prompt.passages
    assert [(flag.step, flag.finding.decision) for flag in result.flags] == [
        ("guard_passages", Decision.BLOCK)
    ]
    assert _detail(bench, "guard_passages")["withheld"] == ["c"]


async def test_run_ends_blocked_where_no_passage_is_left():
    bench = Bench()
    bench.world.passages_verdict = _poisoned(Decision.BLOCK)
    bench.world.withheld = ("a.md",)
    _, result = await _run(bench)
    assert (result.state, result.finish_reason, result.text) == (
        RunState.BLOCKED,
        "content_filter",
        "It instructs.",
    )
    assert bench.record.reason == "DOCUMENT_INJECTION"
    assert "generate" not in bench.world.calls


async def test_verdict_that_blocks_and_withholds_nothing_lets_nothing_pass():
    bench = Bench()
    bench.world.passages_verdict = verdict(Decision.BLOCK)
    _, result = await _run(bench)
    assert result.state is RunState.BLOCKED
    assert "generate" not in bench.world.calls


async def test_nothing_is_screened_where_nothing_was_found():
    bench = Bench()
    bench.world.finds = ()
    await _run(bench)
    assert "guard_passages" not in bench.world.calls
    assert "guard_passages" not in bench.states


@pytest.mark.parametrize("mode", MODES)
async def test_what_the_gate_changed_is_all_that_goes_on(mode: StreamingMode):
    bench = Bench(streaming=mode, policy=REDACTS, rewrite=OnFail.DEGRADE)
    bench.world.treated, bench.world.vault = REDACTED, b"sealed"
    await _run(bench, _asked(Message("user", "How long is a@b.example to wait?"), stream=True))
    assert set(bench.world.queries) == {REDACTED[0].text}
    assert [message.content for message in bench.world.prompt.messages] == [REDACTED[0].text]
    assert (bench.world.checked.question, bench.world.checked.vault) == (REDACTED[0].text, b"sealed")
    assert bench.world.checked.run_id == bench.record.run_id


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (REDACTS, True),
        ({"wasm": (PRE,)}, True),
        ({"wasm": (POST,)}, False),
        ({}, False),
        ({**REDACTS, "mode": Mode.SHADOW}, False),
        (
            {"tenants": (TenantOverride(names=("acme",), patch={"input": {"pii": {"action": "redact"}}}),)},
            True,
        ),
        (
            {"tenants": (TenantOverride(names=("else",), patch={"input": {"pii": {"action": "redact"}}}),)},
            False,
        ),
    ],
)
async def test_retrieval_waits_for_a_gate_that_may_change_the_question(
    policy: dict[str, object], waits: bool
):
    bench = Bench(policy=policy)
    bench.world.input_verdict = verdict(Decision.BLOCK)
    bench.world.wait["guard_input"] = 0.02
    await _run(bench)
    assert bench.world.queries == ([] if waits else ["How long?"])


async def test_question_that_was_changed_unawares_is_looked_for_again():
    bench = Bench()
    bench.world.treated = REDACTED
    await _run(bench, _asked(Message("user", "How long is a@b.example to wait?")))
    assert bench.world.queries[-2:] == [REDACTED[0].text] * 2
    assert bench.world.prompt.messages[0].content == REDACTED[0].text


async def test_calls_of_tools_are_screened_with_their_message():
    bench = Bench()
    call = Message("assistant", "", (ToolCall("mail", '{"to": "x"}'),))
    bench.world.treated = (TreatedSegment(2, '{"to": "<email-1>"}'),)
    await _run(bench, _asked(call, Message("user", "How long?")))
    assert bench.world.sent[0].tool_calls == (ToolCall("mail", '{"to": "x"}'),)
    assert bench.world.prompt.messages[0].tool_calls == (ToolCall("mail", '{"to": "<email-1>"}'),)


@pytest.mark.parametrize("mode", [StreamingMode.WITHHOLD, StreamingMode.WINDOW])
async def test_caller_reads_what_the_output_gate_gives(mode: StreamingMode):
    bench = Bench(streaming=mode)
    bench.world.leaves = lambda text: text.replace("forty", "<redacted>")
    streamed, result = await _run(bench, _asked(stream=True))
    assert streamed == result.text == "It is <redacted> [1].\n\nSources:\n[1] A (a.md)"
    assert result.citations[0].marks == ((17, 20),)


async def test_redaction_is_a_flag_of_the_answer():
    bench = Bench()
    finding = Finding("pii", "email", 0.9, 0.5, Decision.REDACT, 0, 0, 5, "raw")
    bench.world.output_verdict = Verdict(Decision.REDACT, "PII", findings=(finding,))
    _, result = await _run(bench)
    assert [(flag.step, flag.finding.decision) for flag in result.flags] == [
        ("guard_output", Decision.REDACT)
    ]
    assert {step.name: step.decision for step in bench.record.steps}["guard_output"] == "redact"


EXTRACTIVE = ModelServerSpec(base_model="extractive", extractive=Extractive())
NO_CANARY = {"output": OutputDetectors(leakage=LeakageDetector(canary=False))}
NO_LEAKAGE = {"output": OutputDetectors(leakage=LeakageDetector(action=Action.ALLOW))}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("server", "policy", "canary"),
    [(None, {}, "c4n4ry"), (EXTRACTIVE, {}, ""), (None, NO_CANARY, ""), (None, NO_LEAKAGE, "")],
)
async def test_prompt_holds_a_canary_that_the_output_gate_knows(
    mode: StreamingMode, server: ModelServerSpec | None, policy: dict[str, object], canary: str
):
    bench = Bench(streaming=mode, server=server, policy=policy)
    await _run(bench, _asked(stream=True))
    assert bench.world.prompt.canary == canary
    assert bench.world.checked.canaries == ((canary,) if canary else ())
    assert "c4n4ry" not in str(bench.journal.events)


async def test_journal_says_of_each_detector_what_it_has_seen():
    report = Report("pii", "3", "policy", "partial", 0.12345, 0.5, Decision.ALLOW, 1.23456, "out of time")
    bench = Bench()
    bench.world.input_verdict = Verdict(
        Decision.FLAG, "NOT_SCANNED", partial=True, reports=(report,), would=Decision.FLAG, milliseconds=2.0
    )
    await _run(bench)
    detail = _detail(bench, "guard_input")
    assert (detail["mode"], detail["would"], detail["partial"], detail["ms"]) == (
        "enforce",
        "flag",
        True,
        2.0,
    )
    assert detail["detectors"] == [
        {
            "detector": "pii",
            "version": "3",
            "threshold_set": "policy",
            "state": "partial",
            "score": 0.1235,
            "threshold": 0.5,
            "decision": "allow",
            "ms": 1.235,
            "detail": "out of time",
        }
    ]


async def test_policy_that_only_records_shows_nothing_in_the_answer_and_all_in_the_journal():
    bench = Bench()
    shadow = replace(_poisoned(Decision.BLOCK), decision=Decision.ALLOW, shadow=True, would=Decision.BLOCK)
    bench.world.input_verdict = bench.world.output_verdict = shadow
    _, result = await _run(bench)
    assert (result.state, result.flags) == (RunState.ANSWERED, ())
    detail = _detail(bench, "guard_output")
    assert (detail["mode"], detail["would"]) == ("shadow", "block")
    assert detail["findings"][0]["decision"] == "block"
