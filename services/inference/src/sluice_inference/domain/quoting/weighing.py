"""What speaks for a sentence, and for it that the passages answer at all: learned weighted sums of a few features.

Fitted by tools/train_quoting.py on the development halves of Chroma's chunking evaluation (MIT), SciFact (Wadden et al.
2020, CC BY 4.0; abstracts ODC-By) and PubMedQA (Jin et al. 2019, MIT); `defines` is set by hand.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sluice_inference.domain.model import Passage
from sluice_inference.domain.quoting.asked import Asked
from sluice_inference.domain.quoting.sentences import Sentence
from sluice_lexical.words import pieces, rarity

#: What a sentence is worth.
SENTENCE_WEIGHTS = {
    "similarity": 2.52,  # to the question
    "relative": 4.19,  # the same, as a share of the best sentence's
    "passage": -0.65,  # the best similarity in its passage
    "around": 0.91,  # the better one of the sentences beside it
    "covered": 2.78,  # the question's words in it, by rarity
    "in_section": 2.22,  # the same with its passage's title
    "prior": 0.69,  # 1 over its passage's rank
    "asks": -1.31,  # it is a question itself
    "defines": 0.80,  # it begins with what is to be defined
}
#: Log odds that it belongs to the answer: what it is worth, less so much of what the best one is, and a constant. Where
#: one sentence says it all, the others are needed less.
SENTENCE_BEST, SENTENCE_CONSTANT = 0.64, -3.33

#: Log odds that the passages answer.
EVIDENCE_CONSTANT = -5.58
EVIDENCE_WEIGHTS = {
    "similarity": 4.89,  # of the best sentence
    "further": 1.15,  # of the three after it, a mean
    "both": 0.80,  # of one sentence: the mean of its similarity, and of the question's words in it and its title
    "passage": 0.10,  # the question's words in one passage
    "words": 1.16,  # the share of the question's words in one sentence, each the same
    "names": 0.24,  # the question's names and numbers that occur anywhere
    "chance": 6.54,  # of the likeliest sentence
}

#: How similar a sentence without a vector counts that holds every word of the question.
_BY_WORDS = 0.8

Terms = frozenset[str]


@dataclass(frozen=True, slots=True)
class Weighed:
    """A sentence and what speaks for it."""

    sentence: Sentence
    chance: float
    """That it belongs to the answer, 0 to 1."""
    held: Terms
    """The question's terms in it and in its passage's title."""

    @property
    def length(self) -> int:
        """In words."""
        return len(self.sentence.words)


class Weighing:
    """Of one question and its passages. How rare a word is, is measured among the sentences."""

    def __init__(
        self, asked: Asked, passages: Sequence[Passage], sentences: Sequence[Sequence[Sentence]]
    ) -> None:
        self._asked = asked
        self._sentences = sentences
        self._wanted = rarity(asked.terms, [each.terms for each in chain(*sentences)])
        self._shares: dict[Terms, float] = {}
        wanted = frozenset(self._wanted)
        self._total = sum(self._wanted.values())
        self._titles = [wanted & frozenset(pieces(passage.title)) for passage in passages]
        self._held = [[wanted & each.terms for each in own] for own in sentences]
        self._similar = [
            [self._similarity(*pair) for pair in zip(own, held, strict=True)]
            for own, held in zip(sentences, self._held, strict=True)
        ]

    def sentences(self) -> list[Weighed]:
        """All sentences with their chance."""
        weights = (*SENTENCE_WEIGHTS.values(),)
        rows = list(self.features())
        worth = [_sum(weights, features) for _, _, features in rows]
        less = SENTENCE_BEST * max(worth, default=0.0) - SENTENCE_CONSTANT
        return [
            Weighed(sentence, _chance(value - less), held)
            for (sentence, held, _), value in zip(rows, worth, strict=True)
        ]

    def features(self) -> Iterator[tuple[Sentence, Terms, tuple[float, ...]]]:
        """Each sentence with the question's terms in it and its title, and its features in the order of
        `SENTENCE_WEIGHTS`."""
        best = max(chain(*self._similar), default=0.0) or 1.0
        for number, own in enumerate(self._sentences):
            similar, title = self._similar[number], self._titles[number]
            nearest = max(similar, default=0.0)
            around = [0.0, *similar, 0.0]
            for place, (sentence, held) in enumerate(zip(own, self._held[number], strict=True)):
                in_section = held | title
                yield (
                    sentence,
                    in_section,
                    (
                        similar[place],
                        similar[place] / best,
                        nearest,
                        max(around[place], around[place + 2]),
                        self.share(held),
                        self.share(in_section),
                        1 / (1 + number),
                        float(sentence.text[-1] in "?？"),
                        float(self._defines(sentence)),
                    ),
                )

    def parts(self) -> list[Callable[[Weighed], float]]:
        """Of each question in the question, how much of it a sentence holds."""
        return [self._part(part) for part in self._asked.parts]

    def evidence(self, weighed: Sequence[Weighed]) -> float:
        """That the passages answer, 0 to 1; 0 where they hold no sentence."""
        if not weighed:
            return 0.0
        return _chance(
            EVIDENCE_CONSTANT + _sum((*EVIDENCE_WEIGHTS.values(),), self.evidence_features(weighed))
        )

    def evidence_features(self, weighed: Sequence[Weighed]) -> tuple[float, ...]:
        """Of all passages, in the order of `EVIDENCE_WEIGHTS`."""
        nearest = [*sorted(chain(*self._similar), reverse=True)[:4], 0.0, 0.0, 0.0]
        passages = [Terms().union(title, *held) for title, held in zip(self._titles, self._held, strict=True)]
        named = self._asked.names
        return (
            nearest[0],
            sum(nearest[1:4]) / 3,
            max(map(self._both, chain(*self._similar), weighed)),
            max(map(self.share, passages)),
            max(map(len, chain(*self._held))) / max(1, len(self._wanted)),
            len(named.intersection(chain(*passages))) / len(named) if named else 1.0,
            max(each.chance for each in weighed),
        )

    def share(self, held: Terms) -> float:
        """The share of what is asked for, by rarity."""
        found = self._shares.get(held)
        if found is None:
            found = sum(self._wanted[term] for term in held) / self._total if self._total else 0.0
            self._shares[held] = found
        return found

    def _both(self, similarity: float, weighed: Weighed) -> float:
        return (similarity + self.share(weighed.held)) / 2

    def _part(self, part: Terms) -> Callable[[Weighed], float]:
        total = self.share(part)
        return lambda each: self.share(each.held & part) / total if total else 0.0

    def _similarity(self, sentence: Sentence, held: Terms) -> float:
        return _BY_WORDS * self.share(held) if sentence.similarity is None else max(0.0, sentence.similarity)

    def _defines(self, sentence: Sentence) -> bool:
        thing = self._asked.thing
        return bool(thing) and sentence.words[: len(thing)] == thing


def _sum(weights: Sequence[float], features: Sequence[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, features, strict=True))


def _chance(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
