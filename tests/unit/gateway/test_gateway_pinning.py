"""Gates whose decision a person has turned."""

from sluice_gateway.domain import pinning
from sluice_gateway.domain.model import (
    Decision,
    ScreenedInput,
    ScreenedOutput,
    ScreenedPassages,
    TreatedSegment,
    Verdict,
)
from support.passages import Passage
from support.run_bench import verdict

BLOCK = verdict(Decision.BLOCK)


def test_input_that_was_blocked_is_allowed_and_what_was_redacted_stays_redacted():
    treated = (TreatedSegment(0, "Call <PHONE_1>."), TreatedSegment(1, ""))
    turned = pinning.allowed_input(ScreenedInput(BLOCK, treated, b"vault"))
    assert (turned.verdict.decision, turned.verdict.would, turned.verdict.reason) == (
        Decision.ALLOW,
        Decision.BLOCK,
        "OVERRIDDEN",
    )
    assert (turned.treated, turned.vault) == (treated[:1], b"vault")


def test_passages_that_were_withheld_come_back_in_their_order():
    first, second, third = (Passage(f"{name}.md", chunk_id=name) for name in "abc")
    changed = Passage("c.md", chunk_id="c", text="<EMAIL_1>")
    turned = pinning.allowed_passages(
        ScreenedPassages(BLOCK, [changed], [first, second]), [first, second, third]
    )
    assert list(turned.passages) == [first, second, changed]
    assert not turned.withheld


def test_answer_that_was_blocked_leaves_as_it_was_written():
    assert pinning.allowed_output(ScreenedOutput(BLOCK, "No."), "It is forty.").text == "It is forty."


def test_gate_that_does_not_block_is_left_as_it_is():
    redacted = ScreenedOutput(Verdict(Decision.REDACT), "Call <PHONE_1>.")
    assert pinning.allowed_output(redacted, "Call 555.") is redacted
    for screened in (ScreenedInput(Verdict(Decision.FLAG)),):
        assert pinning.allowed_input(screened) is screened
    passages = ScreenedPassages(Verdict(Decision.ALLOW), [Passage("a.md")])
    assert pinning.allowed_passages(passages, [Passage("a.md")]) is passages
