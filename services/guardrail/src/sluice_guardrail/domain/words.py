"""Words of a text for comparing texts: stems, numbers and names."""

import re
import unicodedata
from dataclasses import dataclass

import Stemmer

#: A number with its separators, a run of letters and digits, or one character of a script without blanks.
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_぀-ヿ㐀-鿿가-힯]+(?:['’\-][^\W\d_]+)*\d*|[぀-ヿ㐀-鿿]")
_SENTENCE_START = re.compile(r"[.!?:\n•\-*#>\"“(\[]\s*$")

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

    stems: tuple[str, ...]
    """Content words, stemmed, in order."""
    numbers: frozenset[str]
    """Numbers in one spelling: `1,000.50` is `1000.5`."""
    names: frozenset[str]
    """Capitalised words within a sentence, in lower case; proper names, mostly."""


class WordReader:
    """Reads words. One for each thread: the stemmer is not thread-safe."""

    def __init__(self) -> None:
        self._stemmer = Stemmer.Stemmer("english")

    def read(self, text: str) -> Words:
        """The words of a text."""
        text = unicodedata.normalize("NFKC", text)
        stems: list[str] = []
        numbers: set[str] = set()
        names: set[str] = set()
        for match in _TOKEN.finditer(text):
            token = match[0]
            if token[0].isdigit():
                numbers.add(plain_number(token))
                continue
            lower = token.lower().replace("’", "'").removesuffix("'s")
            if lower in STOPWORDS:
                continue
            stems.append(self._stemmer.stemWord(lower))
            if token[0].isupper() and len(token) > 1 and not _starts_sentence(text, match.start()):
                names.add(lower)
        return Words(tuple(stems), frozenset(numbers), frozenset(names))


def plain_number(number: str) -> str:
    """A number without thousands separators and trailing zeros."""
    plain = re.sub(r"[,](?=\d{3}(?:\D|$))", "", number).rstrip(".,:")
    return plain.rstrip("0").rstrip(".") if "." in plain and plain.count(".") == 1 else plain


def _starts_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 8) : start]
    return start == 0 or not before.strip() or _SENTENCE_START.search(before) is not None
