"""Claims that the passages do not carry, by the words, numbers and names they share.

It sees what is made up, not what is subtly turned round: a negated sentence shares its words with the original.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sluice_guardrail.domain.claims import Claim, claims
from sluice_guardrail.domain.model import Answer, Detection, Finding
from sluice_guardrail.domain.words import WordReader, Words

#: A claim with less than this share of its words in a passage is not carried. Chosen on half of PubMedQA's
#: conclusions, against their own abstracts and against those of other studies.
_COVERAGE = 0.25
#: Claims with fewer content words and numbers are not judged: "Yes." or "It is as follows:".
_FEWEST_WORDS = 3


@dataclass(frozen=True, slots=True)
class _Judgement:
    claim: Claim
    weight: float
    fault: str
    """Empty where the claim is carried."""


class GroundednessDetector:
    """The score is the share of an answer, by claimed words, that is not carried."""

    name: ClassVar[str] = "groundedness"
    version: ClassVar[str] = "coverage-2"

    def detect(self, subject: Answer) -> Detection:
        """One finding for each claim that is not carried; all have the answer's score."""
        reader = WordReader()
        judged = list(_judge(subject, reader))
        total = sum(judgement.weight for judgement in judged)
        if not total:
            return Detection.of(())
        score = sum(judgement.weight for judgement in judged if judgement.fault) / total
        return Detection.of(
            Finding(judgement.fault, round(score, 4), judgement.claim.span)
            for judgement in judged
            if judgement.fault
        )


def _judge(answer: Answer, reader: WordReader) -> Iterator[_Judgement]:
    sources = [_everything(passage, reader) for passage in answer.passages]
    asked = reader.read(answer.question)
    known = frozenset(asked.stems) | asked.names | asked.numbers
    for claim in claims(answer.text, answer.passages):
        words = reader.read(claim.text)
        if len(words.stems) + len(words.numbers) < _FEWEST_WORDS:
            continue
        cited = [sources[number - 1] for number in claim.cited if 0 < number <= len(sources)]
        yield _Judgement(claim, len(words.stems), _fault(words, cited or sources, known))


def _fault(words: Words, sources: Sequence[frozenset[str]], asked: frozenset[str]) -> str:
    everything = asked.union(*sources)
    if words.numbers - everything:
        return "number-absent"
    if words.names - everything:
        return "name-absent"
    wanted = frozenset(words.stems) | words.numbers
    # What the question already says needs no passage, unless nothing else is claimed.
    wanted = (wanted - asked) or wanted
    best = max((len(wanted & source) / len(wanted) for source in sources), default=0.0)
    return "" if best >= _COVERAGE else "unsupported"


def _everything(passage: str, reader: WordReader) -> frozenset[str]:
    """Stems, numbers, names and plain words of a passage."""
    words = reader.read(passage)
    plain = (
        word.strip(".,;:!?()[]\"'“”‘’*_`")
        for word in passage.lower().replace("’", "'").replace("'s", "").split()
    )
    return frozenset(words.stems) | words.numbers | words.names | frozenset(plain)
