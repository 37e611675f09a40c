"""Claims that the passages do not carry.

It sees what is made up, and what is changed in a sentence that is else near to the passage: a number, a name, a unit, a
negation. It does not see what is turned round in other words.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sluice_guardrail.domain.claims import Claim, claims
from sluice_guardrail.domain.classifying.pairs import PairModel
from sluice_guardrail.domain.embedding import Embedder
from sluice_guardrail.domain.grounding.absent import Known, absent
from sluice_guardrail.domain.grounding.evidence import Evidence
from sluice_guardrail.domain.grounding.scoring import (
    CITATION_UNSUPPORTED,
    REFERENCE_ABSENT,
    Score,
    score,
    unsupported,
)
from sluice_guardrail.domain.grounding.signals import Weighed, weigh
from sluice_guardrail.domain.model import Detection, Finding, ScanState
from sluice_guardrail.domain.references import absent_references
from sluice_guardrail.domain.texts import Answer
from sluice_guardrail.domain.words import WordReader, Words

_VERSION = "claims-1"
#: Claims with fewer content words and numbers are not judged: "Yes." or "It is as follows:".
_FEWEST_WORDS = 3
#: Claims below this score are not reported.
_REPORTED = 0.3
#: Between these, words alone do not say whether a claim is carried, and its meaning is compared too.
_UNCLEAR = (0.15, 0.9)
#: So many unclear claims of an answer are compared by meaning at most, those first that come nearest to 0.5: a sentence
#: takes the encoder 5 ms.
_MOST_COMPARED = 2
#: By how much less the other passages must leave in doubt of a claim for its citation to be the fault.
_BETTER = 0.3
#: The score of a reference that no passage and not the question names.
_REFERENCE = 0.9


@dataclass(frozen=True, slots=True)
class _Judgement:
    claim: Claim
    words: Words
    rests_on: tuple[int, ...]
    """Indices of the passages that it cites; of all where it cites none."""
    weighed: Weighed
    absent: str

    def score(self, likeness: float | None) -> Score:
        return score(self.weighed.signals, likeness, self.absent, stray_number=self.weighed.stray_number)


class GroundednessDetector:
    """The score of an answer lies midway between that of its worst claim and that of all claims, by their words."""

    name: ClassVar[str] = "groundedness"

    def __init__(
        self, embedder: Embedder | None = None, model: PairModel | None = None, budget: float = 0.5
    ) -> None:
        """`embedder`: compares meanings; words alone decide without it.

        `model`: reads claims with their passages, after all else; the greater of both scores counts.

        `budget`: seconds that one answer may take.
        """
        self._embedder = embedder
        self._model = model
        self._budget = budget
        list(
            claims("It is so.", ())
        )  # builds the tables that sentences and folding need, which takes a while
        self.version = _VERSION if model is None else f"{_VERSION}+{model.version}"
        self.threshold_set = _VERSION if model is None else f"{_VERSION}+{model.threshold_set}"

    def detect(self, subject: Answer) -> Detection:
        """One finding for each doubtful claim, with its own score, and one for each reference that is absent."""
        until = time.monotonic() + self._budget
        reader = WordReader()
        evidence = Evidence(subject.evidence, reader, until)
        judged = list(_judge(subject, evidence, reader, until))
        if None in judged or not evidence.complete:
            return Detection((), 0.0, ScanState.PARTIAL, "out of time for the words")
        return self._detection([each for each in judged if each is not None], subject, evidence, until)

    def _detection(
        self, judged: Sequence[_Judgement], subject: Answer, evidence: Evidence, until: float
    ) -> Detection:
        missing = absent_references(subject.prose, (*subject.evidence, subject.question))
        found = [Finding(REFERENCE_ABSENT, _REFERENCE, span) for span in missing if subject.evidence]
        likeness, compared = self._likeness(judged, until)
        scores = [
            _cited_wrongly(each, each.score(near), evidence)
            for each, near in zip(judged, likeness, strict=True)
        ]
        details = [] if compared else ["out of time for meanings"]
        if self._model is not None and judged:
            claimed = [
                (each.claim.text, [subject.evidence[index] for index in each.rests_on]) for each in judged
            ]
            read = self._model.read(claimed, until)
            scores = [_worse(one, other) for one, other in zip(scores, read, strict=True)]
            if None in read:
                details.append("out of time for the model")
        found += [
            Finding(score.category, round(score.value, 4), each.claim.span)
            for each, score in zip(judged, scores, strict=True)
            if score.value >= _REPORTED
        ]
        values = [score.value for score in scores] + [_REFERENCE for _ in missing if subject.evidence]
        weights = [len(each.words.terms) for each in judged] + [1] * (len(values) - len(judged))
        state = ScanState.PARTIAL if details else ScanState.SCANNED
        return Detection(tuple(found), _overall(values, weights), state, ", ".join(details))

    def _likeness(self, judged: Sequence[_Judgement], until: float) -> tuple[list[float | None], bool]:
        """The cosine of each unclear claim and the sentence nearest to it; false where time ran out before."""
        likeness: list[float | None] = [None] * len(judged)
        low, high = _UNCLEAR
        doubts = [unsupported(each.weighed.signals, None) for each in judged]
        unclear = [
            index for index, each in enumerate(judged) if low < doubts[index] < high and each.weighed.best
        ]
        chosen = sorted(unclear, key=lambda index: abs(doubts[index] - 0.5))[:_MOST_COMPARED]
        if not chosen or self._embedder is None:
            return likeness, True
        if time.monotonic() >= until:
            return likeness, False
        texts = [
            text
            for index in chosen
            for text in (judged[index].claim.text, judged[index].weighed.best[0].text)
        ]
        vectors = self._embedder.texts(texts)
        for index, cosine in zip(chosen, np.sum(vectors[::2] * vectors[1::2], axis=1), strict=True):
            likeness[index] = min(1.0, max(0.0, float(cosine)))
        return likeness, True


def _judge(
    answer: Answer, evidence: Evidence, reader: WordReader, until: float
) -> Iterator[_Judgement | None]:
    """Judges each claim by its words; None where time runs out."""
    asked = reader.read(answer.question)
    known = Known.of([sentence.words for sentence in evidence.sentences] + [asked])
    tools = tuple(range(len(answer.passages), len(answer.evidence)))
    for claim in claims(answer.prose, answer.passages):
        if time.monotonic() >= until:
            yield None
            return
        words = reader.read(claim.text)
        if len(words.terms) >= _FEWEST_WORDS:
            cited = tuple(number - 1 for number in claim.cited if 0 < number <= len(answer.passages))
            # What tools gave carries a claim whatever it cites: no mark names it.
            rests_on = (*(cited or range(len(answer.passages))), *tools)
            weighed = weigh(words, frozenset(asked.terms), evidence, rests_on)
            missing = absent(words, known, tells_names=evidence.tells_names)
            if weighed.signals.stray and evidence.says(claim.text, rests_on):  # however sentences are cut
                weighed = replace(weighed, signals=replace(weighed.signals, stray=0.0))
            yield _Judgement(claim, words, rests_on, weighed, missing)


def _cited_wrongly(judged: _Judgement, score: Score, evidence: Evidence) -> Score:
    """The score by its right name where passages that are not cited carry the claim."""
    others = [index for index in range(len(evidence.titles)) if index not in judged.rests_on]
    if score.value < _REPORTED or judged.absent or not others:
        return score
    doubt = unsupported(weigh(judged.words, frozenset(), evidence, others).signals, None)
    own = unsupported(judged.weighed.signals, None)
    return Score(score.value, CITATION_UNSUPPORTED) if doubt < own - _BETTER else score


def _worse(one: Score, other: Score | None) -> Score:
    return one if other is None or other.value <= one.value else other


def _overall(values: Sequence[float], weights: Sequence[int]) -> float:
    if not values:
        return 0.0
    mean = sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
    return (max(values) + mean) / 2
