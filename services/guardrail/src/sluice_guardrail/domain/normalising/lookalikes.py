"""Words written with other scripts' letters, digits for letters, or gaps between letters.

All three change a word only where that makes it plain: a word that mixes scripts, or one that becomes a word of an
attack. Genuine Cyrillic or Greek, product codes and acronyms stay as they are.
"""

import re
from collections.abc import Iterator

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.view import Replacement
from sluice_guardrail.domain.normalising.vocabulary import KNOWN_WORDS, TRIGGER_WORDS, spelled

#: Letters that look Latin, and what they look like. Case matters: Cyrillic В looks like B, its small form does not.
_CONFUSABLES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХҮԚԜаеѕіјорсухԁԛԝһѵґгпъкмтвьзЗвЬЁёЇї"
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχγωϲϳ"
    "ՕՏԼԱՍՈօսոցհղ"
    "ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷΝᏢᏒᏚᎢᏙᎳᏃ"
    "ɑɡɩıƖǃ",
    "ABESIJKMHOPCTYXYQWaesijopcyxdqwhvrrnbkmtbb33vbEeIi"
    "ABEZHIKMNOPTYXaeiknoptuxywcj"
    "OSLUUNoungqn"
    "ABCDEGHiJKLMNPRSTVWZ"
    "agiilI",
)
_WORD = re.compile(r"\w+")
_CONFUSABLE = re.compile("[" + "".join(map(chr, _CONFUSABLES)) + "]")
_LATIN = re.compile("[A-Za-z]")

#: Digits and signs written for letters; `1`, `!` and `|` stand for i as well as l.
_LEET = str.maketrans("013457@$!|€+", "oieastasiiet")
_LEET_WORD = re.compile(r"[A-Za-z0-9@$!|€+]{4,24}")
_LEET_SIGN = re.compile(r"[0134579@$!|€+]")

#: Single letters with the same small gaps between them.
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][ \t\n.\-_*|/·,~+]{1,3}){3,}[^\W\d_](?![^\W_])")
_GAP = re.compile(r"[^\w]|_")
_WIDE_GAP = re.compile(r"(?:[^\w]|_){2,}")


def confusables(text: str) -> Iterator[Replacement]:
    """Words that mix Latin with lookalikes, or whose lookalikes spell a trigger word."""
    if text.isascii() or not _CONFUSABLE.search(text):
        return
    for match in _WORD.finditer(text):
        word = match[0]
        if word.isascii() or not _CONFUSABLE.search(word):
            continue
        plain = word.translate(_CONFUSABLES)
        if _LATIN.search(word) or plain.lower() in TRIGGER_WORDS:
            yield Replacement(Span(*match.span()), plain)


def leet(text: str) -> Iterator[Replacement]:
    """Words with digits or signs for letters that spell a word of an attack."""
    for match in _LEET_WORD.finditer(text):
        word = match[0]
        if not _LEET_SIGN.search(word):
            continue
        plain = _unleet(word)
        if plain is not None:
            yield Replacement(Span(*match.span()), plain)


def _unleet(word: str) -> str | None:
    plain = word.lower().translate(_LEET)
    for candidate in (plain, plain.rstrip("i"), word.lower().replace("1", "l").translate(_LEET)):
        if candidate in KNOWN_WORDS:
            return candidate
    return None


def despaced(text: str) -> Iterator[Replacement]:
    """Runs of single letters, joined to words, where one of them is a trigger word."""
    for match in _SPACED.finditer(text):
        words = " ".join(spelled(_GAP.sub("", run).casefold()) for run in _WIDE_GAP.split(match[0])).split()
        if not TRIGGER_WORDS.isdisjoint(words):
            yield Replacement(Span(*match.span()), " ".join(words))


def as_latin(text: str) -> str:
    """The text, as long as it was, with all lookalikes as Latin letters, whatever their word."""
    return text.translate(_CONFUSABLES)
