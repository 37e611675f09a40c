"""Trigger words that are misspelt, so that a reader still understands them and a search does not find them."""

import difflib
import re
from collections.abc import Iterator
from functools import cache, lru_cache

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.view import Replacement
from sluice_guardrail.domain.normalising.vocabulary import TRIGGER_WORDS

_WORD = re.compile(r"[A-Za-z]{5,18}")
#: Words of their own that a slip would make of a trigger word.
_OTHER_WORDS = frozenset(("revel", "pervious"))
#: Sounds, in the order in which they are told apart.
_SOUNDS = tuple(
    (re.compile(written), heard)
    for written, heard in (
        (r"[sc]?(?:tion|sion|shun|shon|cion)", "5"),
        (r"ious|eous|eus|ius", "us"),
        (r"ph|gh(?=t)", "f"),
        (r"gn|kn", "n"),
        (r"gu(?=[aeiy])", "g"),
        (r"mpt", "mt"),
        (r"c(?=[eiy])|z", "s"),
        (r"ck|c|q", "k"),
        (r"k5", "5"),
        (r"(?<!^)[aeiouyhw]", ""),
        (r"(.)\1+", r"\1"),
    )
)
#: How much alike words of the same sound must be written: fewer sounds mean more words.
_ALIKE = {3: 0.75, 4: 0.6}

#: Share of a trigger word's letters that a misspelling of it has.
_SHARED = 0.6


def misspelt(text: str) -> Iterator[Replacement]:
    """Words that are no trigger word but read or sound like one."""
    meant = {word: plain for word in set(_WORD.findall(text)) if (plain := _meant(word.lower()))}
    if meant:
        for match in _WORD.finditer(text):
            if match[0] in meant:
                yield Replacement(Span(*match.span()), meant[match[0]])


@lru_cache(maxsize=1 << 14)
def _meant(word: str) -> str | None:
    """The trigger word that a word is meant to be."""
    letters = set(word)
    if not any(len(letters & plain) >= _SHARED * len(plain) for plain in _letters().get(word[0], ())):
        return None  # nearly all words end here
    if word in TRIGGER_WORDS or word in _OTHER_WORDS or word.startswith(_beginnings()):
        return None
    scrambled, dropped, heard = _misspellings()
    if plain := scrambled.get(_signature(word)) or dropped.get(word):
        return plain
    for index in range(1, len(word) - 1):
        shorter = word[:index] + word[index + 1 :]
        if len(shorter) > len("rules") and shorter in TRIGGER_WORDS:
            return shorter
    sounds = _sound(word)
    likeness = {plain: difflib.SequenceMatcher(None, word, plain).ratio() for plain in heard.get(sounds, ())}
    closest = max(likeness, key=lambda plain: likeness[plain], default=None)
    return closest if closest and likeness[closest] >= _ALIKE.get(min(len(sounds), 4), 1.0) else None


@cache
def _letters() -> dict[str, list[frozenset[str]]]:
    """The letters of the trigger words, by their first one."""
    found: dict[str, list[frozenset[str]]] = {}
    for word in TRIGGER_WORDS:
        found.setdefault(word[0], []).append(frozenset(word))
    return found


@cache
def _beginnings() -> tuple[str, ...]:
    """Trigger words as the beginning of their inflections, which are words of their own."""
    return tuple(word.removesuffix("e") for word in TRIGGER_WORDS if len(word) > len("rules"))


@cache
def _misspellings() -> tuple[dict[str, str], dict[str, str], dict[str, list[str]]]:
    """Trigger words by their letters in any inner order, by themselves without a letter, and by their sound."""
    scrambled = {_signature(word): word for word in sorted(TRIGGER_WORDS) if len(word) >= len("rules")}
    words = sorted(word for word in TRIGGER_WORDS if len(word) > len("rules"))
    dropped = {
        word[:index] + word[index + 1 :]: word
        for word in words
        for index in range(1, len(word) - 1)
        if len(word) > 6
    }
    heard: dict[str, list[str]] = {}
    for word in words:
        heard.setdefault(_sound(word), []).append(word)
    return scrambled, dropped, heard


def _signature(word: str) -> str:
    return word[0] + "".join(sorted(word[1:-1])) + word[-1]


def _sound(word: str) -> str:
    for written, heard in _SOUNDS:
        word = written.sub(heard, word)
    return word
