"""Words of a text for comparing texts: stems, numbers with their units, and names."""

import re
import unicodedata
from dataclasses import dataclass

import Stemmer

from sluice_guardrail.domain.quantities import UNITS, WORTH, Quantity, plain_number, quantity

#: A number with its separators and what is written right behind it, a word with its hyphens, or one character of a
#: script without blanks.
_TOKEN = re.compile(
    r"(?P<number>\d+(?:[.,:]\d+)*)(?P<behind>[^\W_]*)"
    r"|[^\W\d_぀-ヿ㐀-鿿가-힯]+(?:['’\-][^\W_]+)*\d*"
    r"|[぀-ヿ㐀-鿿]|[%€$£°]"
)
_SENTENCE_START = re.compile(r"[.!?:\n•\-*#>\"“(\[]\s*$")
_LETTERS_BEFORE = re.compile(r"[^\W\d_]\d*/$")
_ORDINAL = frozenset(("st", "nd", "rd", "th", "s"))

#: Words that say nothing about what a sentence claims.
STOPWORDS = frozenset(
    """
    a about above after again against all also am an and any are as at be because been before being below between
    both but by can could did do does doing down during each few for from further had has have having he her here
    hers him his how i if in into is it its itself just may me might more most must my no nor not now of off on
    once only or other our out over own same she should so some such than that the their them then there these
    they this those through to too under until up very was we were what when where which while who whom why will
    with would you your
    der die das den dem des ein eine einer eines einem einen und oder aber ist sind war waren wird werden mit von
    zu zum zur im in am an auf aus bei nicht auch als wie für es sie er wir ihr
    le la les un une des du de et ou est sont était dans sur pour par avec que qui ne pas au aux ce cette il elle
    el los las una unos y o es son en por con para que no se del al su lo
    """.split()
)


@dataclass(frozen=True, slots=True)
class Words:
    """What a text says, as far as words show it."""

    terms: tuple[str, ...]
    """Content words, stemmed, and numbers, in order."""
    anchors: tuple[int, ...]
    """Which of the terms are numbers in digits, or names."""
    quantities: tuple[Quantity, ...]
    """What is written in digits."""
    names: frozenset[str]
    """Capitalised words within a sentence and words with digits, in lower case; proper names, mostly."""
    plain: tuple[str, ...]
    """All words in lower case, in order."""
    initials: str
    """First letters of all words, in order; abbreviations are parts of it."""
    capitals: float
    """Share of the content words that are capitalised within a sentence: most of them in a heading or in German."""


class WordReader:
    """Reads words. One for each thread: the stemmer is not thread-safe."""

    def __init__(self) -> None:
        self._stemmer = Stemmer.Stemmer("english")

    def read(self, text: str) -> Words:
        """The words of a text."""
        text = text if text.isascii() else unicodedata.normalize("NFKC", text)
        terms: list[str] = []
        quantities: list[Quantity] = []
        names: set[str] = set()
        plain: list[str] = []
        initials: list[str] = []
        anchors: list[int] = []
        capitals = within = 0
        for match in _TOKEN.finditer(text):
            token = match[0]
            number = match["number"]
            if number is not None:
                behind = match["behind"].lower()
                if _is_joined(text, match.start()):  # the 4 of `OCT3/4`
                    terms.append(plain_number(number))
                    continue
                if not behind or behind in UNITS or behind in _ORDINAL:
                    quantities.append(quantity(number, behind, plain, text[match.end() : match.end() + 24]))
                    anchors.append(len(terms))
                    terms.append(quantities[-1].value)
                    plain.append(token.lower())
                    continue
            lower = token.lower().replace("’", "'").removesuffix("'s")
            plain.append(lower)
            initials.append(lower[0])
            if lower in STOPWORDS:
                continue
            if lower in WORTH:
                terms.append(WORTH[lower])
                continue
            first = len(terms)
            parts = lower.split("-") if "-" in lower else [lower]
            for part in parts:
                if part and part not in STOPWORDS:
                    terms.append(self._stemmer.stemWord(part))
                    initials.append(part[0] if part is not parts[0] else "")
            starts = _starts_sentence(text, match.start())
            within += not starts
            if _is_name(token, starts=starts):
                capitals += not starts
                names.update(_named_parts(token))
                anchors += range(first, len(terms))
        return Words(
            tuple(terms),
            tuple(anchors),
            tuple(quantities),
            frozenset(names),
            tuple(plain),
            "".join(initials),
            capitals / within if within else 0.0,
        )


def _is_joined(text: str, start: int) -> bool:
    return (
        start > 1
        and text[start - 1] == "/"
        and _LETTERS_BEFORE.search(text[max(0, start - 12) : start]) is not None
    )


def _is_name(token: str, *, starts: bool) -> bool:
    if len(token) == 1:
        return False
    if starts:  # the first word of a sentence is capitalised in any case; `DNA` and `B12` are names there too
        return not token.islower() and (token[1:] != token[1:].lower() or any(map(str.isdigit, token)))
    return token[0].isupper() or (any(map(str.isdigit, token)) and token.lower() != token)


def _named_parts(token: str) -> list[str]:
    """The parts of a name that name: `HIV` of `HIV-positive`, all of `PD-1`."""
    parts = re.sub("['’]s$", "", token).split("-")
    if len(parts) > 1 and not any(part.isdigit() or len(part) == 1 for part in parts):
        return [part.lower() for part in parts if not part.islower()]
    return ["-".join(parts).lower()]


def _starts_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 8) : start]
    return start == 0 or not before.strip() or _SENTENCE_START.search(before) is not None
