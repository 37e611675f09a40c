"""What nobody sees in a text: a trace of a disguise, whatever it hides.

Flags of England, Scotland and Wales, joined emoji, joiners of Persian and Indic words, soft hyphens and the colours of
a terminal are left alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sluice_guardrail.domain.model import Span

#: Nothing visible can be said in these: letters as tags, bytes as variation selectors, bits as invisible operators.
_SMUGGLED = re.compile(
    "(?P<tags>[\U000e0000-\U000e007f]+)|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}|[\u2061-\u2064]{16,}"
    # A terminal that is told to conceal what follows, or to fill the clipboard.
    r"|(?:\x1b|\\x1b|\\033|\\u001b)(?:\[(?:\d{1,3};){0,8}8m|\]52;)"
)
_FLAG = "\U0001f3f4"
#: Two or three letters of a country and as many of a part of it, and the end.
_LONGEST_FLAG = 7
_LETTER = "A-Za-z\u00c0-\u024f\u0370-\u04ff"
#: Invisible signs between letters that never need them; and what turns writing round.
_WITHIN = re.compile(f"(?<=[{_LETTER}])[\u200b-\u200d\u2060\ufeff\u180e]+(?=[{_LETTER}])|[\u202d\u202e]")
#: Any sign of the above; most texts have none.
_ANY = re.compile("[\u200b-\u200d\u2060-\u2064\u180e\ufeff\u202d\u202e\ufe00-\ufe0f\U000e0000-\U000e01ef]")
_ESCAPES = ("\x1b", "\\x1b", "\\033", "\\u001b")


@dataclass(frozen=True, slots=True)
class Trace:
    """Where something is hidden."""

    span: Span
    smuggled: bool
    """It holds a text of its own; otherwise it takes a word apart."""


def traces(text: str) -> Iterator[Trace]:
    """The first trace of either kind."""
    if (text.isascii() or not _ANY.search(text)) and not any(escape in text for escape in _ESCAPES):
        return
    for match in _SMUGGLED.finditer(text):
        if not (
            match["tags"]
            and len(match["tags"]) <= _LONGEST_FLAG
            and text[match.start() - 1 : match.start()] == _FLAG
        ):
            yield Trace(Span(*match.span()), smuggled=True)
            break
    if within := _WITHIN.search(text):
        yield Trace(Span(*within.span()), smuggled=False)
