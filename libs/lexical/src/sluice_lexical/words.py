"""Content words, stemmed, and how much each of them tells. Not thread-safe: the stemmer keeps a cache."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import Stemmer

#: Scripts without blanks.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")

#: Words that say nothing about what a question asks for.
_STOP = frozenset(
    """
    a about an and any are as at be been but by can could did do does each for from had has have how
    i if in into is it its let may me my no not of on or our shall she he should so some such than
    that the their them then there these they this those to was we were what when where which who
    whom whose why will with would you your please tell explain describe give show list happen
    happens mean means use used using get got
    """.split()
)

_STEMMER = Stemmer.Stemmer("english")


def split(text: str) -> list[str]:
    """The words of a text in lower case, in order; those that say nothing too."""
    words: list[str] = _WORD.findall(text.lower())
    return words


def stems(words: Iterable[str]) -> dict[str, str]:
    """The stem of each content word; words that say nothing are left out. Those seen lately are remembered."""
    return {word: stem for word in words if (stem := _stem(word))}


def terms(text: str) -> list[str]:
    """The stemmed content words of a text, in order."""
    words = [word for word in split(text) if word not in _STOP]
    stemmed: list[str] = _STEMMER.stemWords(words)
    return stemmed


def pieces(text: str) -> list[str]:
    """The terms of a text in order; pairs of characters where no blanks part the words."""
    if text.isascii() or not _UNSPACED.search(text):
        return terms(text)
    found: list[str] = []
    at = 0
    for run in _UNSPACED.finditer(text):
        found += terms(text[at : run.start()])
        found += [run[0][start : start + 2] for start in range(max(1, len(run[0]) - 1))]
        at = run.end()
    return found + terms(text[at:])


@lru_cache(1 << 16)
def _stem(word: str) -> str:
    """Empty for a word that says nothing."""
    stem: str = "" if word in _STOP else _STEMMER.stemWord(word)
    return stem


def count(text: str) -> int:
    """Words and signs, as a measure of length where there is no model's tokenizer."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def rarity(wanted: Iterable[str], texts: Sequence[frozenset[str]]) -> dict[str, float]:
    """How much each wanted term tells, from how few of the texts hold it (BM25's IDF, never negative)."""
    total = len(texts)
    return {
        term: math.log(1 + (total - held + 0.5) / (held + 0.5))
        for term in set(wanted)
        for held in (sum(term in text for text in texts),)
    }


def coverage(wanted: Mapping[str, float], held: frozenset[str]) -> float:
    """The share of what is wanted, by weight, that is held; 0 where nothing is wanted."""
    total = sum(wanted.values())
    return sum(weight for term, weight in wanted.items() if term in held) / total if total else 0.0
