"""Which examples say nearly the same."""

import re
from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

from sluice_guardrail.domain.normalising.folding import fold

_SIMILARITY, _PERMUTATIONS, _SHINGLE = 0.8, 128, 5
#: A text is compared by its beginning: attackers vary what a template ends in.
_COMPARED = 600
_IGNORED = re.compile(r"[\W_]+")


def groups(texts: Sequence[str]) -> list[int]:
    """For each text the index of the first one that it is nearly the same as, directly or over others: by MinHash of
    runs of five letters, at a Jaccard similarity of about .8."""
    hashed = MinHash.bulk([_shingles(text) for text in texts], num_perm=_PERMUTATIONS, seed=1)
    index = MinHashLSH(threshold=_SIMILARITY, num_perm=_PERMUTATIONS)
    first = list(range(len(texts)))
    for at, each in enumerate(hashed):
        near = sorted(index.query(each))
        for other in near:
            a, b = sorted((_root(first, at), _root(first, other)))
            first[b] = a
        index.insert(at, each)
    return [_root(first, at) for at in range(len(texts))]


def _root(first: list[int], at: int) -> int:
    while first[at] != at:
        at = first[at]
    return at


def _shingles(text: str) -> list[bytes]:
    plain = _IGNORED.sub("", fold(text[: 2 * _COMPARED]))[:_COMPARED]
    runs = {plain[at : at + _SHINGLE] for at in range(max(1, len(plain) - _SHINGLE + 1))}
    return [run.encode() for run in sorted(runs)]
