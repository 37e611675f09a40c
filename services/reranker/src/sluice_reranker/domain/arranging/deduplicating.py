"""One candidate for each text."""

from collections.abc import Callable, Hashable, Sequence

from sluice_api.objects.arranging import Duplicates
from sluice_reranker.domain.arranging.likeness import jaccard, shingles, words
from sluice_reranker.domain.model import Candidate

#: Share of common runs of three words from which two candidates are one (Broder 1997).
_NEAR = 0.9


def distinct(
    how: Duplicates, candidates: Sequence[Candidate], order: Sequence[int]
) -> dict[int, tuple[int, ...]]:
    """The first of each text, in the order given, with the others that it stands for."""
    if how is Duplicates.KEEP:
        return {index: () for index in order}
    kept: dict[int, list[int]] = {}
    same = _exact(candidates) if how is Duplicates.EXACT else _near(candidates)
    for index in order:
        first = same(index)
        if first is None:
            kept[index] = []
        else:
            kept[first].append(index)
    return {index: tuple(others) for index, others in kept.items()}


def _exact(candidates: Sequence[Candidate]) -> Callable[[int], int | None]:
    first: dict[Hashable, int] = {}

    def same(index: int) -> int | None:
        found = first.setdefault(" ".join(candidates[index].text.casefold().split()), index)
        return None if found == index else found

    return same


def _near(candidates: Sequence[Candidate]) -> Callable[[int], int | None]:
    seen: list[tuple[int, frozenset[tuple[str, ...]]]] = []

    def same(index: int) -> int | None:
        own = shingles(words(candidates[index].text))
        for other, held in seen:
            fewer, more = sorted((len(own), len(held)))
            if fewer >= _NEAR * more and jaccard(own, held) >= _NEAR:
                return other
        seen.append((index, own))
        return None

    return same
