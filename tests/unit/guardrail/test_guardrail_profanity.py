"""Profanity: whole words, by severity, with what a policy allows and denies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.objects.guardrail_policy import Action, GuardrailPolicySpec, InputDetectors
from sluice_api.objects.guardrail_policy import ProfanityDetector as ProfanitySpec
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.detectors.profanity import ProfanityDetector
from sluice_guardrail.domain.model import Channel, Decision, Reason, Segment
from sluice_guardrail.domain.profanity.lexicon import Lexicon, Term, builtin_terms
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.texts import Text

DETECTOR = ProfanityDetector(ProfanitySpec())


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("What the fuck is that?", 0.75),
        ("WHAT THE FUCK IS THAT?", 0.75),
        ("what the ｆｕｃｋ is that", 0.75),
        ("what the fu\u200bck is that", 0.75),
        ("Esto es una mierda.", 0.75),
        ("Du Arschloch!", 0.75),
        ("shit happens", 0.25),
        ("Scunthorpe, Essex, Penistone and Cockermouth lie in England.", 0.0),
        ("Homo sapiens and the Maine Coon were painted by Van Dyke.", 0.0),
        ("The class assessed the assassin's passage.", 0.0),
        ("", 0.0),
    ],
)
def test_severity(text: str, severity: float):
    assert DETECTOR.detect(Text(text)).score == severity


def test_span_is_that_of_the_text_as_written():
    text = "Oh, FU\u200bCK that."
    (finding,) = DETECTOR.detect(Text(text)).findings
    assert text[finding.span.start : finding.span.end] == "FU\u200bCK"
    assert finding.replacement == "*****"


def test_what_a_policy_allows_and_denies():
    own = ProfanityDetector(ProfanitySpec(allow=("fuck",), deny=("Gizmotron",)))
    assert own.detect(Text("fuck")).score == 0.0
    assert own.detect(Text("a GIZMOTRON is none")).score == 1.0


def test_scripts_without_blanks_have_no_word_bounds():
    lexicon = Lexicon([Term("下三烂", 0.5, "x")])
    assert [match.start for match in lexicon.matches("他是个下三烂的人")] == [3]


def test_longest_of_overlapping_terms_counts():
    lexicon = Lexicon([Term("dick", 0.5, "x"), Term("moby dick", 0.0, "innocent")])
    assert [match.term.text for match in lexicon.matches("moby dick, dick")] == ["moby dick", "dick"]


def test_policy_flags_by_its_threshold_and_is_off_by_default():
    def decision(**spec: object) -> tuple[Decision, Reason | None]:
        policy = GuardrailPolicySpec(input=InputDetectors(profanity=ProfanitySpec(**spec))) if spec else None
        screener = Screener(Policy("p", "v", policy or GuardrailPolicySpec()), Parts(all_rules()))
        verdict = screener.screen_input([Segment(Channel.USER, "user", "holy shit, fuck")])
        return verdict.decision, verdict.reason

    assert decision() == (Decision.ALLOW, None)
    assert decision(action=Action.FLAG) == (Decision.FLAG, Reason.PROFANITY)
    assert decision(action=Action.BLOCK, threshold=1.0) == (Decision.ALLOW, None)


def test_shipped_terms_are_folded_and_graded():
    terms = builtin_terms()
    assert len({term.text for term in terms}) == len(terms) > 2_000
    assert {term.severity for term in terms} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert all(Text(term.text).folded.text.strip() == term.text for term in terms)


@given(
    st.lists(st.sampled_from(["fuck", "ass", " ", "x", "ß", "\u200b", "汉", "ﬀ", "shit"]), max_size=20).map(
        "".join
    )
)
def test_findings_lie_within_the_text_and_do_not_overlap(text: str):
    end = 0
    for finding in DETECTOR.detect(Text(text)).findings:
        assert end <= finding.span.start < finding.span.end <= len(text)
        end = finding.span.end
