"""Cases as authors of policies write them: read, and compared with what a module has made of them."""

import pytest

from sluice_api.objects.guardrail_policy import Action, WasmKind, WasmStage
from sluice_guardrail.domain.model import Channel
from sluice_guardrail.wasm.written_cases import (
    CasesError,
    Expected,
    Got,
    differences,
    policy_of,
    read_cases,
    redacted,
)

DIGEST = "0" * 64
FILE = b"""
kind: wasi
timeout: 250ms
settings: {hosts: [example.com]}
cases:
  - {name: a, text: x, channel: output, expect: {action: allow}}
  - {name: b, text: x, scores: {pii: 0.5}, tenant: acme, expect: {error: ""}}
"""


def test_the_file_says_of_its_policy_what_an_option_may_overrule():
    file = read_cases(FILE, DIGEST, {"kind": "core"})
    assert file.policy.kind is WasmKind.CORE
    assert file.policy.timeout == 0.25
    assert file.policy.settings == {"hosts": ["example.com"]}
    assert file.policy.memory == policy_of(DIGEST, {}).memory


def test_an_output_is_asked_about_whole_and_all_else_at_the_input_gate():
    first, second = (case.question for case in read_cases(FILE, DIGEST, {}).cases)
    assert (first.stage, first.text.channel) == (WasmStage.POST, Channel.OUTPUT)
    assert (second.stage, second.text.channel) == (WasmStage.PRE, Channel.USER)
    assert second.scores == {"pii": 0.5}
    assert second.caller.tenant == "acme"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"\xff", "not YAML"),
        (b"a: [", "not YAML"),
        (b"- a", "not a mapping"),
        (b"{}", "cases"),
        (b"cases: []", "cases"),
        (b"cases: [{name: a, text: x}]", "cases.0.expect"),
        (b"cases: [{name: a, text: x, expect: {}}]", "expect an `action` or an `error`"),
        (
            b"cases: [{name: a, text: x, expect: {action: allow, error: x}}]",
            "expect an `action` or an `error`",
        ),
        (b"cases: [{name: a, txt: x, expect: {action: allow}}]", "cases.0.txt"),
        (b"cases: [{name: a, scores: {pii: 2}, expect: {action: allow}}]", "cases.0.scores.pii"),
        (b"timeout: 5\ncases: [{name: a, expect: {action: allow}}]", "timeout"),
        (b"memory: 1000\ncases: [{name: a, expect: {action: allow}}]", "memory"),
    ],
)
def test_a_wrong_file_says_where(content: bytes, where: str):
    with pytest.raises(CasesError) as raised:
        read_cases(content, DIGEST, {})
    assert where in str(raised.value)


GOT = Got(Action.REDACT, 1.0, ("b", "a"), ("Acme",), "We beat them.", "names one")


@pytest.mark.parametrize(
    ("expect", "fields"),
    [
        (Expected(action=Action.REDACT), []),
        (
            Expected(
                action=Action.REDACT, labels=("a", "b"), spans=("Acme",), text="We beat them.", score=1.0
            ),
            [],
        ),
        (Expected(action=Action.BLOCK, labels=("a",)), ["action", "labels"]),
        (
            Expected(action=Action.REDACT, spans=(), text="We beat Acme.", score=0.5),
            ["spans", "text", "score"],
        ),
        (Expected(error=""), ["error"]),
    ],
)
def test_only_what_a_case_expects_is_compared(expect: Expected, fields: list[str]):
    assert [each.field for each in differences(expect, GOT)] == fields


def test_an_error_is_no_answer_and_an_expected_one_is_found_by_a_part_of_it():
    late = Got(error="late: no answer after 60 ms; its timeout is 50 ms")
    (difference,) = differences(Expected(action=Action.BLOCK), late)
    assert "late: no answer" in difference.got
    assert list(differences(Expected(error="late"), late)) == []
    assert [each.field for each in differences(Expected(error="trap"), late)] == ["error"]


def test_replacements_go_in_whatever_their_order_and_lengths():
    assert redacted("Globex and Initech", [(0, 6, "one"), (11, 18, ""), (7, 10, None)]) == "one and "
