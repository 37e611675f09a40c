"""What a recogniser is, what it reads and what it gives."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.folding import fold

_DIGITS = re.compile(r"[0-9]+")

#: Stands before what a recogniser looks for: no letter, digit or part of a longer name, path or decimal. ASCII, since
#: in scripts without blanks a number directly follows a letter; `Tel.030` is none of them either.
START = r"(?<![0-9A-Za-z_])(?<![0-9A-Za-z][/@-])(?<![0-9]\.)"
#: Stands after it.
END = r"(?![0-9A-Za-z_]|[./@-][0-9A-Za-z])"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that is probably personal data. It stays within the detector: a finding never carries the value."""

    entity: PiiEntity
    span: Span
    score: float
    value: str = field(repr=False)
    """In one spelling, to compare with an allow list: lower case; numbers without separators."""


@dataclass(frozen=True)
class Scan:
    """One text to look through, and what several recognisers ask of it."""

    text: str

    def holds(self, word: re.Pattern[str]) -> bool:
        """True where a word, in folded spelling, is anywhere in the text. Few are; no other is looked for again."""
        if word not in self._held:
            self._held[word] = word.search(self._folded) is not None
        return self._held[word]

    @cached_property
    def unread(self) -> set[str]:
        """What recognisers gave up on, in words."""
        return set()

    @cached_property
    def _held(self) -> dict[re.Pattern[str], bool]:
        return {}

    @cached_property
    def _folded(self) -> str:
        return fold(self.text)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Where each run of digits starts."""
        return tuple(match.start() for match in _DIGITS.finditer(self.text))


class Recogniser(Protocol):
    """Recognises one or more kinds of personal data. Thread-safe."""

    @property
    def entities(self) -> frozenset[PiiEntity]:
        """The kinds it can find."""
        ...

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """All it finds, overlaps included, in time linear in the text."""
        ...
