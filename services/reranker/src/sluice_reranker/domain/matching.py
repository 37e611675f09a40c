"""What candidates hold of the question's words. How rare a word is, is measured within the set."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sluice_lexical.words import split, stems
from sluice_reranker.domain.reading import Flags, Floats, Indices, Read, Words, numbered

_K1, _B = 1.2, 0.75
"""BM25's usual parameters."""
_TITLE = 2.0
"""How often a word of the title counts."""
_MOST_TERMS = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """The question's content words."""

    terms: list[str]
    """Each once, in order."""
    pairs: Indices
    """Those that follow each other, by their places in `terms`; shape (pairs, 2)."""

    @classmethod
    def of(cls, question: str) -> "Asked":
        """Reads the beginning of an overlong one."""
        words = split(question)
        by_word = stems(set(words))
        found = [by_word[word] for word in words if word in by_word][:_MOST_TERMS]
        place = {stem: number for number, stem in enumerate(dict.fromkeys(found))}
        pairs = sorted({(place[one], place[other]) for one, other in pairwise(found)})
        return cls(list(place), np.array(pairs, dtype=np.int64).reshape(-1, 2))


class Matches:
    """Where the question's words stand in the candidates."""

    def __init__(self, asked: Asked, reads: Sequence[Read]) -> None:
        self._asked, self._size, self._count = asked, len(asked.terms), len(reads)
        numbers = numbered(reads, asked.terms)
        text = Words.of([read.words for read in reads], numbers)
        self._length = np.bincount(text.owner, minlength=self._count)
        self._at = np.flatnonzero(text.word < self._size)
        self._term, self._owner = text.word[self._at], text.owner[self._at]
        self._text = self._counted(self._owner, self._term)
        title = Words.of([read.title for read in reads], numbers)
        titled = title.word < self._size
        self._title = self._counted(title.owner[titled], title.word[titled])
        self._held = (self._text > 0) | (self._title > 0)
        among = self._held.sum(axis=0)
        #: BM25's IDF of each term, never negative.
        self._rarity: Floats = np.log1p((self._count - among + 0.5) / (among + 0.5))
        follow = self._owner[:-1] == self._owner[1:]
        #: Matches that another one of the same text follows.
        self._pair = np.flatnonzero(follow)

    def coverage(self) -> Floats:
        """The share of what is asked for, by rarity, that title and text hold."""
        return self._share(self._held)

    def title(self) -> Floats:
        """The same of the title."""
        return self._share(self._title > 0)

    def bm25(self) -> Floats:
        """BM25 of text and title within the set."""
        mean = self._length.mean() or 1.0
        counts = self._text + _TITLE * self._title
        damped = counts + _K1 * (1 - _B + _B * self._length / mean)[:, None]
        score: Floats = (counts * (_K1 + 1) / damped) @ self._rarity
        return score

    def ordered(self) -> Floats:
        """The share of the question's pairs of words, by rarity, that stand side by side in its order."""
        pairs = self._asked.pairs
        weights = self._rarity[pairs].min(axis=1) if len(pairs) else np.zeros(0)
        if not weights.sum():
            return np.zeros(self._count)
        number = np.full((self._size, self._size), -1)
        number[pairs[:, 0], pairs[:, 1]] = np.arange(len(pairs))
        beside = self._pair[self._distance() == 1]
        pair = number[self._term[beside], self._term[beside + 1]]
        held = np.zeros((self._count, len(pairs)), dtype=bool)
        held[self._owner[beside][pair >= 0], pair[pair >= 0]] = True
        share: Floats = held @ weights / weights.sum()
        return share

    def closeness(self) -> Floats:
        """How near different terms stand to each other: of neighbours the sum of 1/distance², by rarity, against what
        an average pair side by side is worth."""
        one, other = self._term[self._pair], self._term[self._pair + 1]
        gain = (one != other) * np.minimum(self._rarity[one], self._rarity[other]) / self._distance() ** 2
        total = np.bincount(self._owner[self._pair], weights=gain, minlength=self._count)
        typical = float(self._rarity.mean()) if self._size else 0.0
        near: Floats = total / (total + typical) if typical else np.zeros(self._count)
        return near

    def _distance(self) -> Indices:
        """In content words, from each match that another follows to that one."""
        return self._at[self._pair + 1] - self._at[self._pair]

    def _counted(self, row: Indices, term: Indices) -> Floats:
        counts = np.bincount(row * self._size + term, minlength=self._count * self._size)
        return counts.reshape(self._count, self._size).astype(np.float64)

    def _share(self, held: Flags) -> Floats:
        total = self._rarity.sum()
        share: Floats = held @ self._rarity / total if total else np.zeros(self._count)
        return share
