"""Policies as WASI commands: asked over standard input and output, and given nothing else."""

import pytest

from sluice_guardrail.domain.model import Channel, Decision, Reason, ScanState, Segment, Verdict
from support.wasm import ANSWER, ROOM, WASI, Bench, command, reports

BLOCK = '{"action":"block","labels":["seen"]}'
SAY = "(call $say (i32.const 1))"


def _screen(bench: Bench, module: bytes, content: str = "hello", **fields: object) -> Verdict:
    policy = bench.policy(module, kind="wasi", **{"timeout": "5s", **fields})
    return bench.screener(policy).screen_input([Segment(Channel.USER, "user", content)])


def test_command_answers_on_standard_output(bench: Bench):
    verdict = _screen(bench, command(SAY, answer=BLOCK))
    assert (verdict.decision, verdict.reason) == (Decision.BLOCK, Reason.POLICY)
    assert [found.finding.category for found in verdict.findings] == ["seen"]


def test_command_reads_what_it_is_asked_from_standard_input(bench: Bench):
    """It writes what it reads to standard output, which is no answer, but for a text that ends its input early."""
    echo = f"""(i32.store (i32.const {ROOM}) (i32.const {ROOM + 4096})) (i32.store (i32.const {ROOM + 4}) (i32.const 9))
        (drop (call $read (i32.const 0) (i32.const {ROOM}) (i32.const 1) (i32.const {ROOM + 8})))
        (if (i64.eq (i64.load (i32.const {ROOM + 4096})) (i64.const {int.from_bytes(b'{"abi":1', "little")}))
          (then {SAY}))"""
    assert _screen(bench, command(echo, answer=BLOCK)).reason is Reason.POLICY


def test_exit_code_zero_ends_it_well(bench: Bench):
    assert _screen(bench, command(f"{SAY} (call $exit (i32.const 0))")).decision is Decision.ALLOW


HOSTILE = {
    "never exits": (f"{SAY} (loop (br 0))", "late"),
    "ends with 1": (f"{SAY} (call $exit (i32.const 1))", "exit"),
    "ends with -1": (f"{SAY} (call $exit (i32.const -1))", "exit"),
    "says nothing": ("", "output"),
    "says it twice": (SAY + SAY, "output"),
    "floods standard output": (f"(loop {SAY} (br 0))", "output"),
    "floods standard output at once": (
        "(call $put (i32.const 1) (i32.const 0) (i32.const 200000))",
        "output",
    ),
    "floods standard error": ("(loop (call $say (i32.const 2)) (br 0))", "late"),
    "writes to a file that is not open": ("(call $say (i32.const 3))", "output"),
    "writes from outside of its memory": (
        "(call $put (i32.const 1) (i32.const -9) (i32.const 99))",
        "output",
    ),
    "reads for ever": (
        f"""(i32.store (i32.const {ROOM}) (i32.const {ROOM + 4096})) (i32.store (i32.const {ROOM + 4}) (i32.const 1))
        (loop (drop (call $read (i32.const 0) (i32.const {ROOM}) (i32.const 1) (i32.const {ROOM + 8}))) (br 0))""",
        "late",
    ),
    "reads into all of the memory a million times": (
        f"(loop (drop (call $read (i32.const 0) (i32.const 0) (i32.const -1) (i32.const {ROOM}))) (br 0))",
        "late",
    ),
    "traps after its answer": (f"{SAY} (unreachable)", "trap"),
}


@pytest.mark.parametrize(("start", "failure"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("on_error", "decision"), [("deny", Decision.BLOCK), ("allow", Decision.FLAG)])
def test_hostile_command_fails_as_configured(
    bench: Bench, start: str, failure: str, on_error: str, decision: Decision
):
    timeout = "200ms" if failure == "late" else "5s"
    verdict = _screen(bench, command(start), onError=on_error, timeout=timeout)
    assert (verdict.decision, verdict.reason) == (decision, Reason.POLICY_FAILED)
    (report,) = reports(verdict)
    assert report.state is ScanState.FAILED
    assert report.detail.startswith(f"{failure}:")


def _asks(name: str, parameters: str, call: str, expected: int) -> bytes:
    """A command that answers `allow` where a function of WASI gives an error number, and traps where it does not."""
    return command(
        f"(if (i32.ne (call $asked {call}) (i32.const {expected})) (then (unreachable))) {SAY}",
        imports=f'(import "{WASI}" "{name}" (func $asked (param {parameters}) (result i32)))',
    )


_BADF, _SPIPE, _NOTCAPABLE = 8, 70, 76


@pytest.mark.parametrize(
    "module",
    [
        _asks(
            "path_open",
            "i32 i32 i32 i32 i32 i64 i64 i32 i32",
            "(i32.const 3) (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 0) (i64.const -1) (i64.const -1) "
            "(i32.const 0) (i32.const 64)",
            _NOTCAPABLE,
        ),
        _asks("fd_prestat_get", "i32 i32", "(i32.const 3) (i32.const 64)", _BADF),
        _asks("sock_accept", "i32 i32 i32", "(i32.const 3) (i32.const 0) (i32.const 64)", _NOTCAPABLE),
        _asks(
            "sock_send",
            "i32 i32 i32 i32 i32",
            "(i32.const 3) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 64)",
            _NOTCAPABLE,
        ),
        _asks(
            "fd_seek", "i32 i64 i32 i32", "(i32.const 0) (i64.const 0) (i32.const 0) (i32.const 64)", _SPIPE
        ),
    ],
    ids=["a file", "a folder", "a connection", "to send", "to go back"],
)
def test_command_is_refused_what_it_asks_for_and_may_go_on(bench: Bench, module: bytes):
    assert _screen(bench, module).decision is Decision.ALLOW


@pytest.mark.parametrize(
    ("name", "parameters", "call", "place", "expected"),
    [
        ("clock_time_get", "i32 i64 i32", "(i32.const 0) (i64.const 1) (i32.const 64)", 64, 1_000_000_000),
        ("clock_time_get", "i32 i64 i32", "(i32.const 1) (i64.const 1) (i32.const 64)", 64, 1_000_000_000),
        ("environ_sizes_get", "i32 i32", "(i32.const 64) (i32.const 68)", 64, 0),
    ],
    ids=["the time of day", "a clock", "variables"],
)
def test_clock_stands_and_there_are_no_variables(
    bench: Bench, name: str, parameters: str, call: str, place: int, expected: int
):
    module = command(
        f"""(drop (call $asked {call}))
        (if (i64.ne (i64.load (i32.const {place})) (i64.const {expected})) (then (unreachable))) {SAY}""",
        imports=f'(import "{WASI}" "{name}" (func $asked (param {parameters}) (result i32)))',
    )
    assert _screen(bench, module).decision is Decision.ALLOW


def test_random_bytes_are_the_same_in_each_call(bench: Bench):
    """Its first byte stands for the action: it answers with what byte it got, as a label."""
    module = command(
        f"""(drop (call $asked (i32.const 64) (i32.const 1)))
        (i32.store8 (i32.const {ANSWER + 28}) (i32.add (i32.const 97) (i32.rem_u (i32.load8_u (i32.const 64))
          (i32.const 26)))) {SAY}""",
        answer='{"action":"flag","labels":["?"]}',
        imports=f'(import "{WASI}" "random_get" (func $asked (param i32 i32) (result i32)))',
    )
    labels = {_screen(bench, module).findings[0].finding.category for _ in range(5)}
    assert len(labels) == 1
    assert labels != {"?"}
