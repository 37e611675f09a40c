"""The words of a question's candidates, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice_lexical.words import split, stems
from sluice_reranker.domain.model import Candidate

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Characters that are read; a chunk has some 1500.
_MOST_CHARACTERS = 20_000
_TITLE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Read:
    """One candidate's words in lower case, in order."""

    words: list[str]
    title: list[str]

    @classmethod
    def of(cls, candidate: Candidate) -> "Read":
        """Reads the beginning of an overlong one."""
        return cls(split(candidate.text[:_MOST_CHARACTERS]), split(candidate.title[:_TITLE_CHARACTERS]))


@dataclass(frozen=True, slots=True)
class Words:
    """The content words of several texts, one text after the other; each stem has a number."""

    count: int
    """Texts."""
    word: Indices
    owner: Indices
    """The text that has the word."""

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], numbers: dict[str, int]) -> "Words":
        """Of words whose stem's number is known; all others say nothing."""
        get = numbers.get
        word = np.array([get(word, -1) for text in texts for word in text], dtype=np.int64)
        owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
        told = word >= 0
        return cls(len(texts), word[told], owner[told])


def numbered(reads: Sequence[Read], terms: Sequence[str]) -> dict[str, int]:
    """The place in `terms` of each word's stem, and the number of terms where it is not among them. Words that say
    nothing are absent. Each distinct word is stemmed once."""
    place = {term: number for number, term in enumerate(terms)}
    words = {word for read in reads for part in (read.words, read.title) for word in part}
    return {word: place.get(stem, len(place)) for word, stem in stems(words).items()}
