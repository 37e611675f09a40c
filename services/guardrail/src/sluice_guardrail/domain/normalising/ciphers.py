"""Texts whose letters were exchanged one for one, or run backwards.

One search finds every trigger word in every one of these ciphers; a reading is made only of those that show some.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]

from sluice_guardrail.domain.normalising.view import Reading
from sluice_guardrail.domain.normalising.vocabulary import TRIGGER_WORDS

REVERSED = "reversed"
WORDS_REVERSED = "words-reversed"
UPSIDE_DOWN = "upside-down"
ATBASH = "atbash"
ROT13 = "rot13"

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
#: Shorter words turn into others too easily.
_SHORTEST = 6
#: Letters of trigger words that make a cipher worth reading by: one long word, or two short ones.
_ENOUGH = 8
#: Readings that are made, the ones with most letters first, and the words that are looked at to choose them.
_MOST = 2
_MOST_WORDS = 256
_WORD = re.compile(r"\w+")
_FLIPPED = str.maketrans("ɐqɔpǝɟƃɥıᴉɾʞןɯuodbɹsʇnʌʍʎ", "abcdefghiijklmnopqrstuvwy")
_FLIPPED_LETTERS = re.compile("[ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ]")
_FLIPPED_AT_LEAST = 4


def deciphered(reading: Reading, folded: str) -> Iterator[tuple[str, Reading]]:
    """The readings of a text by the ciphers whose trigger words it holds.

    Args:
        folded: The fold of the reading's text.
    """
    letters: Counter[str] = Counter()
    pattern, ciphers = _trigger_words()
    for _, match in zip(range(_MOST_WORDS), pattern.finditer(folded), strict=False):
        for cipher in ciphers[match[0]]:
            letters[cipher] += len(match[0])
    for cipher, count in letters.most_common(_MOST):
        if count >= _ENOUGH:
            yield from _read(cipher, reading)
    if len(_FLIPPED_LETTERS.findall(folded)) >= _FLIPPED_AT_LEAST:
        yield UPSIDE_DOWN, reading.mirrored(reading.text.translate(_FLIPPED)[::-1])


def _read(cipher: str, reading: Reading) -> Iterator[tuple[str, Reading]]:
    if cipher == REVERSED:
        yield REVERSED, reading.mirrored(reading.text[::-1])
        yield WORDS_REVERSED, reading.translated(_WORD.sub(lambda word: word[0][::-1], reading.text))
    else:
        yield cipher, reading.translated(reading.text.translate(_tables()[cipher]))


@cache
def _tables() -> dict[str, dict[int, int]]:
    """How each cipher is read."""
    shifted = {_name(shift): _LETTERS[-shift:] + _LETTERS[:-shift] for shift in range(1, 26)}
    return {
        cipher: str.maketrans(_LETTERS + _LETTERS.upper(), plain + plain.upper())
        for cipher, plain in {**shifted, ATBASH: _LETTERS[::-1]}.items()
    }


def _name(shift: int) -> str:
    return ROT13 if shift == 13 else f"caesar-{shift}"


@cache
def _trigger_words() -> tuple[Any, dict[str, list[str]]]:
    """An expression for every trigger word in every cipher, and which ciphers each is one in."""
    words = [word for word in TRIGGER_WORDS if len(word) >= _SHORTEST]
    ciphers: dict[str, list[str]] = {}
    for word in words:
        ciphers.setdefault(word[::-1], []).append(REVERSED)
    for cipher, table in _tables().items():
        written = {plain: code for code, plain in table.items()}
        for word in words:
            ciphers.setdefault(word.translate(written), []).append(cipher)
    return re2.compile("|".join(sorted(ciphers, key=len, reverse=True))), ciphers


def is_ciphered(name: str) -> bool:
    """True of a view of that name which reads all of a text by another key: ordinary text is noise there."""
    last = name.rpartition("+")[2]
    return last in _tables() or last in (REVERSED, WORDS_REVERSED, UPSIDE_DOWN)
