"""What every decoder of a stretch is made of, and how much all of them may give out."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.view import Replacement

#: All that is decoded out of a text is no longer than this many times the text.
MAX_OUTPUT = 4
#: Share of printable characters from which decoded bytes count as text.
_READABLE = 0.9
#: Decoded texts shorter than this say nothing by themselves.
_SHORTEST = 4
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


@dataclass
class Budget:
    """Characters that may still be decoded out of one text."""

    left: int
    exhausted: bool = field(default=False, init=False)
    """Something was left out, since it would have been too long."""

    @classmethod
    def of(cls, text: str) -> "Budget":
        """All that a text may give."""
        return cls(MAX_OUTPUT * len(text))

    def take(self, characters: int) -> bool:
        """Takes so many, or says that there are not enough left."""
        if characters > self.left:
            self.exhausted = True
            return False
        self.left -= characters
        return True


class Pattern(Protocol):
    """An expression of RE2, or of `re` where it takes more than RE2 knows."""

    def finditer(self, text: str, /) -> Iterator[Any]:
        """All matches that do not overlap, in order."""
        ...


#: Gives the text that a stretch stands for, or None where it stands for itself.
Decode = Callable[[str, Budget], str | None]


@dataclass(frozen=True, slots=True)
class Decoder:
    """Finds stretches in one encoding."""

    name: str
    hint: str
    """RE2: what a text must hold for the pattern to match. Cheap to look for."""
    pattern: Pattern
    decode: Decode

    def replacements(self, text: str, budget: Budget) -> Iterator[Replacement]:
        """The stretches that decode, in order."""
        for match in self.pattern.finditer(text):
            decoded = self.decode(match[0], budget)
            if decoded is not None and decoded != match[0] and budget.take(len(decoded)):
                yield Replacement(Span(*match.span()), decoded)


def readable(content: bytes) -> str | None:
    """The text that bytes are, where they are one."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    if len(text) < _SHORTEST:
        return None
    if text.isprintable():
        return text
    return text if len(_UNPRINTABLE.findall(text)) <= (1 - _READABLE) * len(text) else None
