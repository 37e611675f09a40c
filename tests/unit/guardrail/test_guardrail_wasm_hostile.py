"""Hostile modules: whatever one does, the gate decides as its `onError` says, in time, and the next call is well."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sluice_guardrail.domain.model import Channel, Decision, Reason, ScanState, Segment, Verdict
from sluice_guardrail.domain.screening import Screener
from support.wasm import ALLOW, ANSWER, ROOM, Bench, core, reports, returns, text

LOG = '(import "guard" "log" (func $log (param i32 i32 i32)))'
#: Seconds after which a call has certainly outlived its timeout of 0.1.
ENDED = 5.0


def _room(place: int) -> str:
    """Room at a place for a text; for settings, which are shorter, where there is some."""
    return f"(select (i32.const {place}) (i32.const {ROOM}) (i32.gt_u (local.get 0) (i32.const 16)))"


HOSTILE = {
    "spins": core("(loop (br 0)) (i64.const 0)"),
    "spins by calling": core("(loop (drop (call $alloc (i32.const 1))) (br 0)) (i64.const 0)"),
    "grows until it is stopped": core("(loop (drop (memory.grow (i32.const 1))) (br 0)) (i64.const 0)"),
    "recurses": core("(call $evaluate (local.get $ptr) (local.get $len))"),
    "reaches what it calls unreachable": core("(unreachable)"),
    "divides by zero": core("(i64.div_u (i64.const 1) (i64.const 0))"),
    "reads outside of its memory": core("(i64.load (i32.const -8))"),
    "points outside of its memory": core(returns(1 << 24, 16)),
    "points at the last byte, and says more": core(returns(4 * 65_536 - 1, 2)),
    "has a place and size that overflow together": core(returns(0xFFFF_FFFF, 2)),
    "is negative": core("(i64.const -1)"),
    "is empty": core("(i64.const 0)"),
    "answers with ten megabytes": core(returns(0, 10 << 20), pages=200),
    "answers with more than it may": core(returns(0, (64 << 10) + 1)),
    "answers in no UTF-8": core(answer=b'{"action":"\xff\xfe"}'),
    "answers with no JSON": core(answer="allow"),
    "answers with half of it": core(answer='{"action":"allow"'),
    "answers with an array": core(answer="[]"),
    "answers with nothing but null": core(answer="null"),
    "nests without end": core(answer='{"action":' + "[" * 10_000),
    "knows another action": core(answer='{"action":"mask"}'),
    "says more than the schema": core(answer='{"action":"allow","really":true}'),
    "says it twice": core(answer=ALLOW + ALLOW),
    "scores above one": core(answer='{"action":"flag","score":1.5}'),
    "scores with no number": core(answer='{"action":"flag","score":NaN}'),
    "redacts nowhere": core(answer='{"action":"redact"}'),
    "redacts without a replacement": core(answer='{"action":"redact","spans":[{"start":0,"end":1}]}'),
    "redacts a place twice": core(
        answer='{"action":"redact","spans":[{"start":0,"end":2,"replace":""},{"start":1,"end":3,"replace":""}]}'
    ),
    "has a span behind the text": core(answer='{"action":"flag","spans":[{"start":0,"end":9999}]}'),
    "has a span within a letter": core(answer='{"action":"flag","spans":[{"start":0,"end":1}]}'),
    "has a span that ends before it begins": core(answer='{"action":"flag","spans":[{"start":3,"end":2}]}'),
    "labels with a sentence": core(answer='{"action":"flag","labels":["Nora Quill, nora@quill.example"]}'),
    "has no room": core(alloc=_room(0)),
    "has room outside of its memory": core(alloc=_room(-16)),
    "has room that ends outside": core(alloc=_room(4 * 65_536 - 4)),
    "has room where its answer stands": core(alloc=_room(ANSWER)),
    "logs from outside of its memory": core(
        f"(call $log (i32.const 1) (i32.const -4) (i32.const 16)) {returns(ANSWER, len(ALLOW))}", imports=LOG
    ),
    "logs for ever": core(
        f"(loop (call $log (i32.const 1) (i32.const {ANSWER}) (i32.const 200000)) (br 0)) (i64.const 0)",
        imports=LOG,
    ),
    "leaves as a program does": core(
        "(call $exit (i32.const 0)) (i64.const 0)",
        imports='(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))',
    ),
}
#: Begins with a letter of two bytes.
TEXT = "Über die Presse"


def _screen(screener: Screener, content: str = TEXT) -> Verdict:
    return screener.screen_input([Segment(Channel.USER, "user", content)])


@pytest.mark.parametrize("module", HOSTILE.values(), ids=HOSTILE)
def test_hostile_module_blocks_where_errors_deny(bench: Bench, module: bytes):
    screener = bench.screener(bench.policy(module, timeout="100ms"))
    started = time.monotonic()
    verdict = _screen(screener)
    assert time.monotonic() - started < ENDED
    assert (verdict.decision, verdict.reason) == (Decision.BLOCK, Reason.POLICY_FAILED)
    assert verdict.partial
    (report,) = reports(verdict)
    assert (report.state, report.decision) == (ScanState.FAILED, Decision.BLOCK)
    assert report.detail
    assert "quill" not in report.detail


@pytest.mark.parametrize("module", HOSTILE.values(), ids=HOSTILE)
def test_hostile_module_is_flagged_as_failed_where_errors_allow(bench: Bench, module: bytes):
    verdict = _screen(bench.screener(bench.policy(module, timeout="100ms", onError="allow")))
    assert (verdict.decision, verdict.reason) == (Decision.FLAG, Reason.POLICY_FAILED)
    assert verdict.partial
    assert reports(verdict)[0].state is ScanState.FAILED


def test_answer_that_comes_late_does_not_count(bench: Bench):
    counting = """(local $i i32)
        (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get $i) (i32.const 400000000)))) """
    module = core(counting + returns(ANSWER, len(ALLOW)))
    late = _screen(bench.screener(bench.policy(module, timeout="5ms")))
    assert late.reason is Reason.POLICY_FAILED
    assert "late" in reports(late)[0].detail


def test_memory_beyond_the_limit_is_not_given(bench: Bench):
    """It answers `block` where it was given 32 MiB more, and `allow` where it was not."""
    block = '{"action":"block"}'
    evaluate = f"""(if (result i64) (i32.eq (memory.grow (i32.const 512)) (i32.const -1))
        (then {returns(ANSWER, len(ALLOW))}) (else {returns(512, len(block))}))"""
    module = core(evaluate, more=f"(data (i32.const 512) {text(block)})")
    assert _screen(bench.screener(bench.policy(module, memory=16))).decision is Decision.ALLOW
    assert _screen(bench.screener(bench.policy(module, memory=64))).decision is Decision.BLOCK


def test_nothing_is_remembered_between_two_calls(bench: Bench):
    """It answers `block` where a global or its memory holds what an earlier call has put there."""
    block = '{"action":"block"}'
    evaluate = f"""(if (i32.or (global.get $seen) (i32.load (i32.const 1024)))
          (then (return {returns(512, len(block))})))
        (global.set $seen (i32.const 1)) (i32.store (i32.const 1024) (i32.const 1))
        {returns(ANSWER, len(ALLOW))}"""
    more = f"(global $seen (mut i32) (i32.const 0)) (data (i32.const 512) {text(block)})"
    screener = bench.screener(bench.policy(core(evaluate, more=more)))
    assert {_screen(screener).decision for _ in range(5)} == {Decision.ALLOW}
    several = [Segment(Channel.USER, "user", each) for each in ("one", "two", "three")]
    assert screener.screen_input(several).decision is Decision.ALLOW


#: Gives its input back as the answer: whoever reads another call's memory gives another's text.
ECHO = core(
    "(i64.or (i64.shl (i64.extend_i32_u (local.get $ptr)) (i64.const 32)) (i64.extend_i32_u (local.get $len)))"
)


def test_two_hundred_calls_at_once_each_get_their_own_answer(bench: Bench):
    """Every other call traps or ends itself in a host function; none of that reaches a neighbour."""
    flag = '{"action":"flag","labels":["seen"]}'
    well = bench.screener(bench.policy(core(answer=flag)))
    traps = bench.screener(bench.policy(core("(unreachable)")))
    exits = bench.screener(bench.policy(HOSTILE["leaves as a program does"]))
    screeners = [well, traps, well, exits] * 50
    barrier = threading.Barrier(20)

    def call(screener: Screener) -> tuple[str, str]:
        barrier.wait()
        verdict = _screen(screener)
        return verdict.reason or "", reports(verdict)[0].detail

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(call, screeners))
    assert {each for each in found[0::2]} == {("POLICY", "")}
    assert {reason for reason, _ in found[1::2]} == {"POLICY_FAILED"}
    assert {detail for _, detail in found[3::4]} == {"exit: it ended with exit code 0"}


def test_same_call_gives_the_same_answer_every_time(bench: Bench):
    """Its score is made of the clock and of random bytes, as WASI gives them."""
    digits = "".join(
        f"(i32.store8 (i32.const {ANSWER + 27 + n}) (i32.add (i32.const 48) (i32.rem_u "
        f"(i32.load8_u (i32.const {ROOM + 1000 + n})) (i32.const 10))))"
        for n in range(12)
    )
    module = core(
        f"""(drop (call $random (i32.const {ROOM + 1000}) (i32.const 8)))
            (drop (call $clock (i32.const 0) (i64.const 1) (i32.const {ROOM + 1008}))) {digits}
            {returns(ANSWER, 40)}""",
        answer='{"action":"flag","score":0.000000000000}',
        imports="""(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))""",
    )
    screener = bench.screener(bench.policy(module))
    scores = {reports(_screen(screener))[0].score for _ in range(20)}
    assert len(scores) == 1
    assert scores != {0.0}


def test_failed_policy_is_not_asked_again_in_the_same_check(bench: Bench):
    screener = bench.screener(bench.policy(HOSTILE["spins"], timeout="100ms", onError="allow"))
    verdict = screener.screen_input([Segment(Channel.USER, "user", str(n)) for n in range(100)])
    assert [finding.finding.category for finding in verdict.findings] == ["failed"]
