"""How alike two texts are, by their words."""

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words, case aside."""
    return _WORD.findall(text.casefold())


def shingles(found: Sequence[str]) -> frozenset[tuple[str, ...]]:
    """Runs of three words; of a shorter text, all of it."""
    return frozenset(tuple(found[at : at + 3]) for at in range(max(1, len(found) - 2)))


def jaccard(one: frozenset[object], other: frozenset[object]) -> float:
    """The share that both hold of what either holds; 1 where neither holds anything."""
    union = len(one | other)
    return len(one & other) / union if union else 1.0
