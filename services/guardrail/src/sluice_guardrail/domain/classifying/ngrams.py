"""Hashed n-grams of characters and of words, worked out for many texts at once.

Characters: runs of three to five within a word, its edges marked by a space (scikit-learn calls this `char_wb`).
Words: one to three that follow each other. Every n-gram falls into one of a fixed number of buckets, characters'
before words'. What a text is worth is linear in how often it falls into each, so the weights of its n-grams are added
up and no vector is ever made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Buckets of the characters' n-grams, and of the words'.
CHARACTER_BITS, WORD_BITS = 16, 15
CHARACTER_BUCKETS, WORD_BUCKETS = 1 << CHARACTER_BITS, 1 << WORD_BITS
BUCKETS = CHARACTER_BUCKETS + WORD_BUCKETS

_CHARACTERS = range(3, 6)
_WORDS = range(1, 4)
_PRIME = np.uint32(0x01000193)
_MIX = np.uint32(0x9E3779B1)
#: Letters of a word that count; what follows is not told apart.
_WORD_LETTERS = 32
_SPACE, _ZERO, _NINE = 32, 48, 57

#: Between two texts; no text holds it, since folding drops it.
_BETWEEN = "\x00"

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Every n-gram of some texts, once for each time it occurs."""

    owners: Indices
    """Which text it is in."""
    buckets: Indices
    values: Floats
    """What one occurrence counts: the inverse root of how many of its kind the text has, so that a longer text counts
    more, but not in proportion."""


class NGrams:
    """Cuts folded texts into n-grams. Thread-safe."""

    def __init__(self) -> None:
        plane = (chr(code) for code in range(0x10000))
        self._in_word = np.fromiter((each.isalnum() or each == "_" for each in plane), np.bool_, 0x10000)
        self._powers = _PRIME ** np.arange(_WORD_LETTERS, dtype=np.uint32)

    def of(self, texts: Sequence[str]) -> Occurrences:
        """All n-grams of the texts, in time linear in their length."""
        joined = "".join(f"{_BETWEEN} {text} " for text in texts).encode("utf-32-le", "surrogatepass")
        codes: Codes = np.frombuffer(joined, np.uint32).copy()
        owner_of: Indices = np.cumsum(codes == 0, dtype=np.intp) - 1
        codes[(codes == 10) | (codes == 9)] = _SPACE
        codes[(codes >= _ZERO) & (codes <= _NINE)] = _ZERO
        parts = [
            _weighed(owner_of[at], buckets, len(texts))
            for at, buckets in (self._characters(codes), self._words(codes, owner_of))
        ]
        return Occurrences(
            *(
                np.concatenate(each)
                for each in zip(*((p.owners, p.buckets, p.values) for p in parts), strict=True)
            )
        )

    def sums(self, texts: Sequence[str], weights: Floats) -> Floats:
        """What each text is worth by the weights of the buckets, shape (texts,)."""
        found = self.of(texts)
        summed = np.bincount(found.owners, weights[found.buckets] * found.values, minlength=len(texts))
        return summed.astype(np.float32)

    def _characters(self, codes: Codes) -> tuple[Indices, Indices]:
        """Where each n-gram of characters starts, and its bucket."""
        edge = (codes == _SPACE) | (codes == 0)
        starts: list[Indices] = []
        buckets: list[Indices] = []
        hashed = codes[:-1] * _PRIME + codes[1:]
        inner = edge[1:-1]
        for size in _CHARACTERS:
            # One character more: the last but one is inside from now on.
            hashed = hashed[:-1] * _PRIME + codes[size - 1 :]
            at = np.flatnonzero(~inner & (codes[: len(inner)] != 0) & (codes[size - 1 :] != 0))
            starts.append(at)
            buckets.append(_bucket(hashed[at] + np.uint32(size), CHARACTER_BITS))
            inner = inner[:-1] | edge[size - 1 : -1]
        return np.concatenate(starts), np.concatenate(buckets)

    def _words(self, codes: Codes, owner_of: Indices) -> tuple[Indices, Indices]:
        """Where each n-gram of words starts, and its bucket, counted after the characters'."""
        inside = self._in_word[np.minimum(codes, 0xFFFF)] & (codes < 0x10000)
        before = np.concatenate(([False], inside[:-1]))
        begins = np.flatnonzero(inside & ~before)
        if not len(begins):
            return begins, begins
        letters = np.flatnonzero(inside)
        word = np.cumsum(inside & ~before)[letters] - 1
        place = np.minimum(letters - begins[word], _WORD_LETTERS - 1)
        firsts = np.searchsorted(letters, begins)
        hashes = np.add.reduceat(codes[letters] * self._powers[place], firsts, dtype=np.uint32)
        owners = owner_of[begins]
        starts: list[Indices] = []
        buckets: list[Indices] = []
        hashed = np.zeros_like(hashes)
        for size in _WORDS:
            count = len(begins) - size + 1
            if count <= 0:
                break
            hashed = hashed[:count] * _MIX + hashes[size - 1 :]
            together = np.flatnonzero(owners[:count] == owners[size - 1 :])
            starts.append(begins[together])
            buckets.append(_bucket(hashed[together] + np.uint32(size), WORD_BITS) + CHARACTER_BUCKETS)
        return np.concatenate(starts), np.concatenate(buckets)


def _bucket(hashes: Codes, bits: int) -> Indices:
    mixed = (hashes ^ (hashes >> np.uint32(15))) * _MIX
    mixed = (mixed ^ (mixed >> np.uint32(13))) * _PRIME
    return (mixed >> np.uint32(32 - bits)).astype(np.intp)


def _weighed(owners: Indices, buckets: Indices, count: int) -> Occurrences:
    sizes = np.maximum(np.bincount(owners, minlength=count), 1)
    return Occurrences(owners, buckets, (1.0 / np.sqrt(sizes[owners])).astype(np.float32))
