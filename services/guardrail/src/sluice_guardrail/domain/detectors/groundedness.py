"""Claims that the passages do not carry, by the words, numbers and names they share.

It sees what is made up, not what is subtly turned round: a negated sentence shares its words with the original.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sluice_guardrail.domain.claims import Claim, claims, sentences
from sluice_guardrail.domain.model import Answer, Finding
from sluice_guardrail.domain.words import WordReader, Words

#: A claim with less than this share of its weight in two neighbouring sentences of a passage is not carried.
_COVERAGE = 0.5
#: Claims with fewer content words and numbers are not judged: "Yes." or "It is as follows:".
_FEWEST_WORDS = 3


@dataclass(frozen=True, slots=True)
class _Source:
    """A passage, cut for comparison."""

    windows: tuple[frozenset[str], ...]
    """Stems and numbers of each two neighbouring sentences."""
    everything: frozenset[str]
    """Stems, numbers and names of the whole."""


@dataclass(frozen=True, slots=True)
class _Judgement:
    claim: Claim
    weight: float
    fault: str
    """Empty where the claim is carried."""


class GroundednessDetector:
    """The score is the share of an answer, by claimed words, that is not carried."""

    name: ClassVar[str] = "groundedness"
    version: ClassVar[str] = "coverage-1"

    def detect(self, subject: Answer) -> list[Finding]:
        """One finding for each claim that is not carried; all have the answer's score."""
        reader = WordReader()
        judged = list(_judge(subject, reader))
        total = sum(judgement.weight for judgement in judged)
        if not total:
            return []
        score = sum(judgement.weight for judgement in judged if judgement.fault) / total
        return [
            Finding(judgement.fault, round(score, 4), judgement.claim.span)
            for judgement in judged
            if judgement.fault
        ]


def _judge(answer: Answer, reader: WordReader) -> Iterator[_Judgement]:
    sources = [_source(passage, reader) for passage in answer.passages]
    rarity = _rarity(sources)
    asked = reader.read(answer.question)
    known_names = frozenset(asked.stems) | asked.names | asked.numbers
    for claim in claims(answer.text, answer.passages):
        words = reader.read(claim.text)
        if len(words.stems) + len(words.numbers) < _FEWEST_WORDS:
            continue
        cited = [sources[number - 1] for number in claim.cited if 0 < number <= len(sources)]
        yield _Judgement(claim, len(words.stems), _fault(words, cited or sources, known_names, rarity))


def _fault(words: Words, sources: Sequence[_Source], asked: frozenset[str], rarity: "_Rarity") -> str:
    everything = frozenset[str]().union(*(source.everything for source in sources)) | asked
    if words.numbers - everything:
        return "number-absent"
    if words.names - everything:
        return "name-absent"
    wanted = frozenset(words.stems) | words.numbers
    # What the question already says needs no passage, unless nothing else is claimed.
    wanted = (wanted - asked) or wanted
    best = max((rarity.share(wanted, window) for source in sources for window in source.windows), default=0.0)
    return "" if best >= _COVERAGE else "unsupported"


@dataclass(frozen=True, slots=True)
class _Rarity:
    """Weighs words: rare ones in the passages say more."""

    sentences: int
    frequencies: Counter[str]

    def weight(self, word: str) -> float:
        return math.log(1.0 + (self.sentences + 1.0) / (self.frequencies[word] + 0.5))

    def share(self, wanted: frozenset[str], window: frozenset[str]) -> float:
        total = sum(self.weight(word) for word in wanted)
        return sum(self.weight(word) for word in wanted & window) / total if total else 1.0


def _rarity(sources: Sequence[_Source]) -> _Rarity:
    frequencies: Counter[str] = Counter()
    for source in sources:
        for window in source.windows:
            frequencies.update(window)
    return _Rarity(sum(len(source.windows) for source in sources), frequencies)


def _source(passage: str, reader: WordReader) -> _Source:
    read = [reader.read(passage[span.start : span.end]) for span in sentences(passage)]
    single = [frozenset(words.stems) | words.numbers for words in read]
    windows = [first | second for first, second in zip(single, [*single[1:], frozenset()], strict=True)]
    whole = reader.read(passage)
    lowered = frozenset(word.lower() for word in passage.replace("’", "'").replace("'s", "").split())
    everything = frozenset(whole.stems) | whole.numbers | whole.names | _trimmed(lowered)
    return _Source(tuple(windows), everything)


def _trimmed(words: frozenset[str]) -> frozenset[str]:
    return frozenset(word.strip(".,;:!?()[]\"'“”‘’*_`") for word in words)
