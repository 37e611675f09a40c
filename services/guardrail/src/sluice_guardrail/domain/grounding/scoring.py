"""From signals to one score for a claim, and what it is called."""

import math
from dataclasses import dataclass

from sluice_guardrail.domain.grounding.signals import Signals


@dataclass(frozen=True, slots=True)
class _Weights:
    """A logistic regression on the square roots of shares, and on the likeness to the best sentence.

    Fitted by `bench/fit_groundedness.py` on half of PubMedQA and on SciFact's training claims, no weight of the wrong
    sign. The constant is such that one in twenty of PubMedQA's conclusions, held against their own abstracts, reaches
    0.5.
    """

    constant: float
    sentences: float
    passage: float
    pairs: float
    likeness: float = 0.0

    def score(self, signals: Signals, likeness: float) -> float:
        odds = (
            self.constant
            + self.sentences * math.sqrt(signals.sentences)
            + self.passage * math.sqrt(signals.passage)
            + self.pairs * math.sqrt(signals.pairs)
            + self.likeness * likeness
        )
        return 1 / (1 + math.exp(-odds))


_BY_WORDS = _Weights(1.64, -2.37, -3.48, -2.68)
_BY_MEANING = _Weights(2.52, -1.07, -2.46, -0.73, -4.85)

#: What each kind of contradiction comes to where a sentence has all the other words of the claim.
_STRAY, _NEGATION, _ANTONYM = 0.9, 0.7, 0.8
#: `Signals.literal` from which a contradiction begins to count, and counts in full: what is put in other words is not
#: held against the words of a sentence.
_LITERAL = (0.6, 0.85)
#: What is absent from all passages and from the question.
ABSENT = {"number-absent": 0.6, "unit-absent": 0.9, "name-absent": 0.55}

UNSUPPORTED, CONTRADICTION = "unsupported", "contradiction"
CITATION_UNSUPPORTED, REFERENCE_ABSENT = "citation-unsupported", "reference-absent"
NUMBER_SWAPPED, NAME_SWAPPED = "number-swapped", "name-swapped"


@dataclass(frozen=True, slots=True)
class Score:
    """What is made of a claim."""

    value: float
    """0 to 1: carried to not carried."""
    category: str
    """What weighs most."""


def unsupported(signals: Signals, likeness: float | None) -> float:
    """How surely the passages do not say what a claim says, 0 to 1, by its words alone where no likeness is known."""
    weights = _BY_WORDS if likeness is None else _BY_MEANING
    return weights.score(signals, likeness or 0.0)


def score(signals: Signals, likeness: float | None, absent: str, *, stray_number: bool) -> Score:
    """Each reason to doubt a claim leaves a share of it standing; what they leave together is its support.

    Args:
        absent: What is absent, a key of `ABSENT`; empty where nothing is.
        stray_number: What is astray, if anything, is a number and no name.
    """
    low, high = _LITERAL
    literal = min(1.0, max(0.0, (signals.literal - low) / (high - low)))
    doubts = {
        UNSUPPORTED: unsupported(signals, likeness),
        CONTRADICTION: 1
        - (1 - _NEGATION * signals.negation * literal) * (1 - _ANTONYM * signals.antonym * literal),
        NUMBER_SWAPPED if stray_number else NAME_SWAPPED: _STRAY * signals.stray * literal,
    }
    if absent:
        doubts[absent] = ABSENT[absent]
    standing = math.prod(1 - doubt for doubt in doubts.values())
    return Score(1 - standing, absent or max(doubts, key=lambda category: doubts[category]))
