"""A question as keyword stores take it: words of which any may occur, and phrases that have to."""

import re
from dataclasses import dataclass

#: Characters of a question that are looked for. Every one may be a word in a script without spaces, and search servers
#: refuse queries of more than 1,024 clauses.
MAX_CHARACTERS = 1000

#: A straight mark opens only before a word and closes only after one: 5" is a length.
_QUOTED = re.compile(r'(?<!\w)"([^"]*)"(?!\w)|“([^“”]*)”|„([^„“”]*)[“”]|«([^«»]*)»')


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for."""

    words: str
    """The whole question; quoted words count like others."""
    phrases: tuple[str, ...] = ()
    """What stands in quotation marks: only chunks that have these words in this order are found."""


def parse(query: str) -> Question:
    """Reads the quotation marks of a question; a mark without its partner is a character like any other."""
    cut = query[:MAX_CHARACTERS]
    phrases = (next(filter(None, match.groups()), "").strip() for match in _QUOTED.finditer(cut))
    return Question(cut, tuple(phrase for phrase in phrases if phrase))
