"""Numbers that a rule of their own confirms: a check digit, or ranges that are never issued."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.pii.context import SOMETHING_ELSE, SOMETHING_ELSE_SHARE, Words
from sluice_guardrail.domain.pii.recogniser import END, START, Candidate, Scan

_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")
_BLANK = re.compile(r"[ \n]")


@dataclass(frozen=True, slots=True)
class Scores:
    """What a number is worth that its rule confirms."""

    bare: float
    """As digits alone. High only where the rule leaves few numbers to chance; zero where it says nothing by itself."""
    spaced: float
    """Parted in the usual way."""
    named: float = 0.95
    """With a word nearby that names it."""


@dataclass(frozen=True, slots=True)
class CheckedNumber:
    """Recognises one kind. Its pattern is bounded, so that each run of digits costs a fixed amount at most."""

    entity: PiiEntity
    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool]
    """Of the number without separators, in capitals."""
    words: Words
    scores: Scores
    lead: int = 0
    """Letters before the first digit."""

    @property
    def entities(self) -> frozenset[PiiEntity]:
        """The one kind."""
        return frozenset((self.entity,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each number that its rule confirms."""
        for number in scan.numbers:
            start = number - self.lead
            match = self.pattern.match(scan.text, start) if start >= 0 else None
            written = self._valid(match[0]) if match else None
            if written is not None:
                span = Span(start, start + len(written))
                if score := self._score(scan, span, written):
                    yield Candidate(self.entity, span, score, _compact(written))

    def _valid(self, written: str) -> str | None:
        """The longest beginning of what is written that is valid; other words may follow after a blank."""
        while not self.is_valid(_compact(written).upper()):
            blanks = [match.start() for match in _BLANK.finditer(written)]
            if not blanks:
                return None
            written = written[: blanks[-1]]
        return written

    def _score(self, scan: Scan, span: Span, written: str) -> float:
        if self.words.near(scan, span):
            return self.scores.named
        score = self.scores.spaced if _SEPARATORS.search(written) else self.scores.bare
        return score * SOMETHING_ELSE_SHARE if SOMETHING_ELSE.near(scan, span) else score


def bounded(pattern: str) -> re.Pattern[str]:
    """A pattern that stands for itself: not within a longer number, name, path or decimal."""
    return re.compile(f"{START}(?:{pattern}){END}", re.ASCII | re.IGNORECASE)


def _compact(written: str) -> str:
    return _SEPARATORS.sub("", written).lower()
