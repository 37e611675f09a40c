"""What modules are told and what becomes of what they answer: spans, scores, stages, windows."""

import json
from typing import Any

import pytest

from sluice_guardrail.domain.model import Caller, Channel, Decision, Reason, Segment, Span
from sluice_guardrail.domain.streaming import OutputStream
from sluice_guardrail.domain.texts import Answer
from sluice_guardrail.wasm.abi import Input
from support.wasm import ANSWER, Bench, core, reports, returns, text

FLAG = '{"action":"flag","labels":["seen"]}'
BLOCK = '{"action":"block"}'


class Recorder:
    """A runtime that writes down what modules are told."""

    def __init__(self, bench: Bench) -> None:
        self.inputs: list[Input] = []
        self._ask = bench.runtime.ask
        bench.runtime.ask = self  # type: ignore[method-assign, assignment]

    def __call__(self, compiled: Any, kind: Any, verb: Any, document: bytes, *rest: Any) -> Any:
        if verb == "evaluate":
            self.inputs.append(Input.model_validate_json(document))
        return self._ask(compiled, kind, verb, document, *rest)


def test_module_is_told_the_text_and_what_is_known_of_it(bench: Bench):
    recorder = Recorder(bench)
    screener = bench.screener(bench.policy(core(), settings={"limit": 3}), tenants=[])
    segments = [
        Segment(Channel.USER, "user", "Größe"),
        Segment(Channel.TOOL, "tool", "Ünser Büro: nora.quill@example.com"),
    ]
    screener.screen_input(segments, Caller("acme", "run-1"))
    first, second = recorder.inputs
    assert (first.abi, first.stage, first.channel, first.text) == (1, "pre", "user", "Größe")
    assert (first.tenant, first.request_id, first.settings) == ("acme", "run-1", {"limit": 3})
    assert first.history_digest == ""
    assert len(second.history_digest) == 64
    assert second.channel == "tool"
    assert set(first.scores) == {"prompt-injection", "pii"}
    assert second.scores["pii"] == pytest.approx(0.9)
    (span,) = second.spans
    assert span.detector == "pii"
    assert second.text.encode()[span.start : span.end] == b"nora.quill@example.com"
    assert second.normalized.casefold() == second.normalized


def test_history_tells_conversations_apart(bench: Bench):
    recorder = Recorder(bench)
    screener = bench.screener(bench.policy(core()))
    for before in (["a", "b"], ["ab", ""], ["a", "b"]):
        screener.screen_input([Segment(Channel.USER, "user", each) for each in (*before, "now")])
    first, other, again = (recorder.inputs[index].history_digest for index in (2, 5, 8))
    assert first == again != other


def test_spans_in_bytes_become_spans_in_code_points_with_their_replacement(bench: Bench):
    content = "Das Büro in Köln, 東京"
    start = content.encode().index("Köln".encode())
    answer = {
        "action": "redact",
        "score": 0.75,
        "labels": ["city"],
        "spans": [
            {"start": len(content.encode()) - 6, "end": len(content.encode()), "replace": "[CITY]"},
            {"start": start, "end": start + 5, "replace": ""},
        ],
    }
    screener = bench.screener(bench.policy(core(answer=json.dumps(answer))))
    verdict = screener.screen_input([Segment(Channel.USER, "user", content)])
    assert (verdict.decision, verdict.reason) == (Decision.REDACT, Reason.POLICY)
    found = {content[f.finding.span.start : f.finding.span.end]: f.finding for f in verdict.findings}
    assert {place: finding.replacement for place, finding in found.items()} == {"Köln": "", "東京": "[CITY]"}
    assert {(finding.category, finding.score) for finding in found.values()} == {("city", 0.75)}


def test_decision_without_a_place_is_about_the_whole_text(bench: Bench):
    verdict = bench.screener(bench.policy(core(answer=FLAG))).screen_input(
        [Segment(Channel.USER, "user", "hello")]
    )
    (judged,) = verdict.findings
    assert (judged.detector, judged.finding.span, judged.finding.score) == ("wasm/module", Span(0, 5), 1.0)
    assert len(judged.detector_version) == 12
    (report,) = reports(verdict)
    assert (report.state, report.decision, report.threshold_set) == ("scanned", Decision.FLAG, "module")


def test_module_can_ask_for_the_score_of_a_detector(bench: Bench):
    """It blocks where the score of `pii` is above a half, and flags where a detector is known that is not."""
    name, unknown = "pii", "nobody"
    evaluate = f"""
        (if (f64.ne (call $feature (i32.const 640) (i32.const {len(unknown)})) (f64.const -1)) (then (unreachable)))
        (if (result i64) (f64.gt (call $feature (i32.const 600) (i32.const {len(name)})) (f64.const 0.5))
          (then {returns(512, len(BLOCK))}) (else {returns(ANSWER, 18)}))"""
    places = {512: BLOCK, 600: name, 640: unknown}
    more = " ".join(f"(data (i32.const {place}) {text(content)})" for place, content in places.items())
    imports = '(import "guard" "feature" (func $feature (param i32 i32) (result f64)))'
    module = core(evaluate, more=more, imports=imports)
    screener = bench.screener(bench.policy(module))
    clean, personal = "hello", "I am nora.quill@example.com"
    assert screener.screen_input([Segment(Channel.USER, "user", clean)]).decision is Decision.ALLOW
    verdict = screener.screen_input([Segment(Channel.USER, "user", personal)])
    assert (verdict.decision, verdict.reason) == (Decision.BLOCK, Reason.POLICY)


def test_policies_are_asked_in_order_and_the_strictest_decides(bench: Bench):
    flags = bench.policy(core(answer=FLAG), name="first")
    blocks = bench.policy(core(answer=BLOCK), name="second")
    verdict = bench.screener(flags, blocks).screen_input([Segment(Channel.USER, "user", "hello")])
    assert [report.detector for report in verdict.reports][-2:] == ["wasm/first", "wasm/second"]
    assert (verdict.decision, verdict.findings[0].detector) == (Decision.BLOCK, "wasm/second")
    assert verdict.message


def test_shadow_mode_records_what_a_module_would_have_done(bench: Bench):
    screener = bench.screener(bench.policy(core(answer=BLOCK)), mode="shadow")
    verdict = screener.screen_input([Segment(Channel.USER, "user", "hello")])
    assert (verdict.decision, verdict.would) == (Decision.ALLOW, Decision.BLOCK)


def test_stages_say_when_a_module_is_asked(bench: Bench):
    answer = Answer("Where?", "In Porto [1].", ("The kiln is in Porto.",))
    question = [Segment(Channel.USER, "user", "Where?")]
    pre = bench.screener(bench.policy(core(answer=BLOCK), stages=["pre"]))
    post = bench.screener(bench.policy(core(answer=BLOCK), stages=["post"]))
    assert pre.screen_input(question).decision is Decision.BLOCK
    assert pre.screen_output(answer).decision is not Decision.BLOCK
    assert post.screen_input(question).decision is Decision.ALLOW
    assert post.screen_output(answer).decision is Decision.BLOCK


WINDOWS = ("First sentence here. " * 8, "Second one. " * 20, "Third. " * 30)


def _stream(bench: Bench, *policies: dict[str, Any], **spec: Any) -> OutputStream:
    screener = bench.screener(*policies, streaming="window", **spec)
    return OutputStream(screener, "Where?", (), caller=Caller("acme", "run-1"))


def test_module_sees_each_window_and_the_whole(bench: Bench):
    recorder = Recorder(bench)
    stream = _stream(bench, bench.policy(core(), stages=["stream", "post"]))
    for window in WINDOWS:
        stream.feed(window)
    stream.finish()
    answer = "".join(WINDOWS)
    *windows, whole = [(each.stage, each.text) for each in recorder.inputs]
    assert {stage for stage, _ in windows} == {"stream"}
    assert all(text in answer for _, text in windows)
    assert whole == ("post", answer)
    assert {each.request_id for each in recorder.inputs} == {"run-1"}


def test_what_a_window_was_flagged_for_is_in_the_whole_answer_s_verdict(bench: Bench):
    stream = _stream(bench, bench.policy(core(answer=FLAG), stages=["stream"]))
    for window in WINDOWS:
        stream.feed(window)
    verdict = stream.finish().verdict
    assert verdict.decision is Decision.FLAG
    assert [report.decision for report in reports(verdict)] == [Decision.FLAG]


def test_window_that_a_module_could_not_screen_does_not_leave_where_errors_deny(bench: Bench):
    stream = _stream(bench, bench.policy(core("(unreachable)"), stages=["stream"]))
    stream.feed(WINDOWS[0])
    progress = stream.feed(WINDOWS[1])
    assert (progress.final, progress.released, progress.text) == (True, 0, "")
    assert progress.verdict.reason is Reason.POLICY_FAILED


def test_failure_in_a_window_is_never_reported_as_passed(bench: Bench):
    stream = _stream(bench, bench.policy(core("(unreachable)"), stages=["stream"], onError="allow"))
    for window in WINDOWS:
        stream.feed(window)
    progress = stream.finish()
    assert progress.released == len("".join(WINDOWS))
    verdict = progress.verdict
    assert (verdict.decision, verdict.partial) == (Decision.FLAG, True)
    assert [report.state for report in reports(verdict)] == ["failed"]


def test_on_error_of_a_policy_goes_before_on_partial(bench: Bench):
    screener = bench.screener(bench.policy(core("(unreachable)"), onError="allow"), onPartial="deny")
    assert screener.screen_input([Segment(Channel.USER, "user", "hello")]).decision is Decision.FLAG


HIDES = '{"action":"redact","spans":[{"start":0,"end":5,"replace":"Next"}]}'


def test_what_a_module_redacts_goes_on_with_its_replacement(bench: Bench):
    screener = bench.screener(bench.policy(core(answer=HIDES)))
    verdict = screener.screen_input([Segment(Channel.USER, "user", "First sentence.")])
    assert [each.text for each in verdict.treated] == ["Next sentence."]


def test_what_a_module_redacts_in_a_window_leaves_with_its_replacement(bench: Bench):
    stream = _stream(bench, bench.policy(core(answer=HIDES), stages=["stream"]))
    left = [stream.feed(window).text for window in WINDOWS]
    last = stream.finish()
    assert "".join((*left, last.text)) == "".join(WINDOWS).replace("First", "Next", 1)
    assert last.verdict.decision is Decision.REDACT
