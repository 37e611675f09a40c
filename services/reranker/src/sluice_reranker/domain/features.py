"""What speaks for a candidate, each as a number from 0 to 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sluice_lexical.words import coverage, rarity, terms
from sluice_reranker.domain.model import Candidate

#: Names of the features, in the order of `Features.of`.
NAMES = (
    "fused",
    "dense",
    "sparse",
    "tokens",
    "sentence",
    "coverage",
    "sentence_coverage",
    "proximity",
    "title",
)

#: Sentences whose words are looked at; a chunk has fewer, text from elsewhere may have any number.
_MOST_SENTENCES = 64


@dataclass(frozen=True, slots=True)
class _Words:
    """A candidate's words."""

    text: list[str]
    title: frozenset[str]
    sentences: list[frozenset[str]]

    @classmethod
    def of(cls, candidate: Candidate) -> "_Words":
        """Reads each stretch of the text once: the sentences, and what stands between them."""
        text: list[str] = []
        sentences: list[frozenset[str]] = []
        at = 0
        for sentence in candidate.sentences[:_MOST_SENTENCES]:
            text += terms(candidate.text[at : sentence.start])
            words = terms(candidate.text[sentence.start : sentence.end])
            text += words
            sentences.append(frozenset(words))
            at = max(at, sentence.end)
        text += terms(candidate.text[at:])
        return cls(text, frozenset(terms(candidate.title)), sentences)


class Features:
    """Features over one set of candidates: how rare a word is, and what the best score of a leg is, is
    measured within the set."""

    def __init__(self, question: str, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._words = [_Words.of(candidate) for candidate in candidates]
        asked = terms(question)
        self._wanted = rarity(asked, [frozenset(words.text) | words.title for words in self._words])
        self._pairs = frozenset(pairwise(asked))
        self._best_fused = max((candidate.score for candidate in candidates), default=0.0)
        self._best_sparse = max((_leg(candidate, "sparse") for candidate in candidates), default=0.0)

    def of(self, index: int) -> tuple[float, ...]:
        """The features of one candidate, in the order of `NAMES`."""
        candidate, words = self._candidates[index], self._words[index]
        similarities = (sentence.similarity for sentence in candidate.sentences)
        return (
            _share(candidate.score, self._best_fused),
            _clamp(_leg(candidate, "dense")),
            _share(_leg(candidate, "sparse"), self._best_sparse),
            _clamp(_leg(candidate, "tokens")),
            _clamp(max(similarities, default=_leg(candidate, "dense"))),
            coverage(self._wanted, frozenset(words.text) | words.title),
            max((coverage(self._wanted, held) for held in words.sentences), default=0.0),
            self._proximity(words.text),
            coverage(self._wanted, words.title),
        )

    def _proximity(self, words: Sequence[str]) -> float:
        """The share of the question's word pairs that stand side by side, in either order."""
        if not self._pairs:
            return 0.0
        held = set(pairwise(words))
        return sum((one, two) in held or (two, one) in held for one, two in self._pairs) / len(self._pairs)


def _leg(candidate: Candidate, name: str) -> float:
    placed = candidate.legs.get(name)
    return placed.score if placed else 0.0


def _share(score: float, best: float) -> float:
    return _clamp(score / best) if best > 0 else 0.0


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))
