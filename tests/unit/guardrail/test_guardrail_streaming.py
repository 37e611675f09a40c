"""Screening while an answer is written: no half of anything leaves, and what leaves is what the whole would be."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.model import Decision
from sluice_guardrail.domain.redacting.leaving import whole
from sluice_guardrail.domain.redacting.placeholders import Placeholder
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.streaming import OutputStream, Progress
from sluice_guardrail.domain.texts import Answer

PARTS = Parts(all_rules())
KEPT = {Placeholder("EMAIL", 1): "nora.quill@example.com"}
QUIET = {"groundedness": {"action": "allow"}, "citations": {"action": "allow"}}


def _screener(streaming: str = "window", mode: str = "enforce", **pii: object) -> Screener:
    output = {**QUIET, "pii": {"action": "redact", **pii}}
    spec = GuardrailPolicySpec.model_validate({"streaming": streaming, "mode": mode, "output": output})
    return Screener(Policy("p", "v1", spec), PARTS)


SCREENER = _screener()


def _steps(screener: Screener, text: str, size: int) -> list[Progress]:
    stream = OutputStream(screener, "", (), KEPT)
    steps = []
    for start in range(0, len(text), size):
        steps.append(stream.feed(text[start : start + size]))
        if steps[-1].final:
            return steps
    return [*steps, stream.finish()]


def _left(steps: list[Progress]) -> str:
    return "".join(step.text for step in steps)


TALK = "The press stands in Lisbon and is cleaned each week. "


@pytest.mark.parametrize("size", [1, 4, 33, 5000])
def test_each_sentence_leaves_redacted_and_restored(size: int):
    text = f"{TALK}Write to [Email 1] or b@example.org. {TALK}Write to b@example.org, not to c@example.org. {TALK}"
    steps = _steps(SCREENER, text, size)
    assert _left(steps) == (
        f"{TALK}Write to nora.quill@example.com or [EMAIL_2]. {TALK}Write to [EMAIL_2], not to [EMAIL_3]. {TALK}"
    )
    assert steps[-1].verdict.decision is Decision.REDACT
    assert steps[-1].released == len(text)


def test_text_leaves_before_the_answer_is_whole():
    steps = _steps(SCREENER, TALK * 10, 4)
    assert len(_left(steps[: len(steps) // 2])) > len(TALK) * 3


def test_released_counts_what_was_written_and_text_is_what_leaves_of_it():
    text = f"Write to [EMAIL_1] now. {TALK}Write to b@example.org. {TALK}"
    done = 0
    for step in _steps(SCREENER, text, 3):
        piece = text[done : step.released]
        done = step.released
        expected = piece.replace("[EMAIL_1]", "nora.quill@example.com").replace("b@example.org", "[EMAIL_2]")
        assert step.text == expected


@pytest.mark.parametrize("streaming", ["window", "withhold", "detect"])
def test_shadow_mode_withholds_and_changes_nothing(streaming: str):
    action = "flag" if streaming == "detect" else "redact"
    screener = _screener(streaming, mode="shadow", action=action)
    text = f"Write to b@example.org. {TALK}"
    steps = _steps(screener, text, 5)
    assert [step.text for step in steps[:-1]] == [text[at : at + 5] for at in range(0, len(text), 5)]
    assert steps[-1].verdict.decision is Decision.ALLOW
    assert steps[-1].verdict.would is (Decision.FLAG if action == "flag" else Decision.REDACT)


def test_nothing_leaves_before_the_end_where_the_policy_withholds():
    steps = _steps(_screener("withhold"), f"Write to b@example.org. {TALK}", 5)
    assert {step.text for step in steps[:-1]} == {""}
    assert _left(steps) == f"Write to [EMAIL_2]. {TALK}"


@pytest.mark.parametrize(
    "endless",
    [
        '{"name": "press", "hours": 40}, ' * 100,
        "word " * 600,
        "x" * 3000,
        "文字" * 1500,
        "AB12 " * 600,
        "1\n" * 1500,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_what_is_held_back_is_bounded_where_no_sentence_ends(endless: str, size: int):
    written = 0
    steps = _steps(_screener(entities=["email", "credit-card", "iban"]), endless, size)
    for step in steps[:-1]:
        written += size
        assert written - step.released <= 960 + 400 + size
    assert _left(steps) == endless


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("before", range(199, 229, 3))
def test_value_in_a_text_without_sentences_never_leaves_in_part(before: int, size: int):
    text = "word " * (before // 5) + "x" * (before % 5) + " 4111 1111 1111 1111 " + "word " * 100
    left = _left(_steps(SCREENER, text, size))
    assert left == text.replace("4111 1111 1111 1111", "[CREDIT_CARD_1]")


@pytest.mark.parametrize("gap", ["\n", "\n" * 30, " \n \n "])
def test_number_that_goes_on_after_many_line_ends_is_one(gap: str):
    text = f"{TALK}The card is\n4111 1111{gap}1111 1111\nand {TALK}"
    assert "1111" not in _left(_steps(SCREENER, text, 4))


def test_account_whose_groups_are_parted_by_a_line_end_is_one():
    text = f"{TALK}Pay into GB82 WEST\n1234 5698 7654 32 today. {TALK}"
    assert "WEST" not in _left(_steps(SCREENER, text, 4))


def test_word_behind_a_sentence_may_still_name_the_number_before():
    text = f"{TALK}It says 111222333.\nThat is a BSN. {TALK}"
    assert "111222333" not in _left(_steps(SCREENER, text, 4))


@pytest.mark.parametrize("size", [1, 7, 200])
def test_no_line_of_a_private_key_leaves(size: int):
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    key = "-----{} PRIVATE " + "KEY-----"
    body = f"{line}\n" * 20
    text = f"{TALK}Here:\n{key.format('BEGIN')}\n{body}{key.format('END')}\n{TALK * 3}"
    assert _left(_steps(SCREENER, text, size)) == f"{TALK}Here:\n[PRIVATE_KEY_1]\n{TALK * 3}"


@pytest.mark.parametrize("size", [1, 7, 200])
def test_no_part_of_a_long_token_leaves(size: int):
    token = "eyJhbGciOiJIUzI1NiJ9.eyJ" + "aGVsbG8x" * 300 + "." + "q7Zt9LmX2v" * 8
    assert _left(_steps(SCREENER, f"{TALK}It is {token} now. {TALK}", size)) == (
        f"{TALK}It is [JSON_WEB_TOKEN_1] now. {TALK}"
    )


def test_redaction_that_never_ends_is_held_to_the_end():
    screener = _screener(entities=["email"])
    text = "Write to " + "b@example.org, " * 3000
    assert _left(_steps(screener, text, 500)).count("[EMAIL_2]") == 3000


_PIECES = st.sampled_from(
    [
        "nora.quill@example.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "+49 30 12345678",
        "536-90-4399", " phone ", " 030 12345678 ", "[EMAIL_1]", "[email 1]", "[EMAIL", "[", "]", ". ", "! ",
        "\n", "\n\n", " ", "The press. ", "word " * 30, TALK, "ﬃ", "１", "[1]", "\u200b", "x" * 90,
    ]
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(_PIECES, max_size=24).map("".join), st.lists(st.integers(1, 60), min_size=1, max_size=6))
@example("4111 1111\n\n1111 1111" + TALK, [1])
def test_streamed_answer_leaves_as_the_whole_one_would(text: str, sizes: list[int]):
    stream = OutputStream(SCREENER, "", (), KEPT)
    at = step = 0
    left = []
    while at < len(text):
        chunk = text[at : at + sizes[step % len(sizes)]]
        at, step = at + len(chunk), step + 1
        progress = stream.feed(chunk)
        assert progress.released <= at
        left.append(progress.text)
    final = stream.finish()
    assert final.released == len(text)
    expected = whole(text, SCREENER.screen_output(Answer("", text, ())), KEPT, ())
    assert "".join([*left, final.text]) == expected
