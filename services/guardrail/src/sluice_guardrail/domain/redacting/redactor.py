"""Puts placeholders in the place of what a policy redacts."""

from collections.abc import Iterable, Iterator
from itertools import count

from sluice_guardrail.domain.model import Edit, Judged, Reason, Span
from sluice_guardrail.domain.redacting.placeholders import Placeholder, label, mentions


class Redactor:
    """Gives the same value the same placeholder, over all texts of one run. Not thread-safe.

    A value is the same where it is written the same: what is put back is exactly what stood there.
    """

    def __init__(self) -> None:
        self._taken: set[Placeholder] = set()
        self._given: dict[tuple[str, str], Placeholder] = {}
        self._numbers: dict[str, Iterator[int]] = {}

    def pass_over(self, texts: Iterable[str], redactions: Iterable[Judged] = ()) -> None:
        """Gives no placeholder that somebody wrote: into the texts, or into what a policy puts into them."""
        replacements = [judged.finding.replacement or "" for judged in redactions]
        self.reserve(placeholder for text in (*texts, *replacements) for _, placeholder in mentions(text))

    def reserve(self, placeholders: Iterable[Placeholder]) -> None:
        """Gives none of these."""
        self._taken.update(placeholders)

    @property
    def values(self) -> dict[Placeholder, str]:
        """What the placeholders stand for."""
        return {placeholder: value for (_, value), placeholder in self._given.items()}

    def edits(self, text: str, redactions: Iterable[Judged]) -> list[Edit]:
        """What to change in a text, in order and without overlaps."""
        return [
            Edit(span, self._replacement(text[span.start : span.end], judged))
            for span, judged in _joined(text, redactions)
        ]

    def _replacement(self, value: str, judged: Judged) -> str:
        finding = judged.finding
        if finding.replacement is not None:
            return finding.replacement
        if judged.reason is not Reason.PII:
            return f"[{label(judged.detector)}]"
        return str(self._placeholder(label(finding.category), value))

    def _placeholder(self, name: str, value: str) -> Placeholder:
        if (name, value) not in self._given:
            numbers = self._numbers.setdefault(name, count(1))
            self._given[name, value] = next(
                placeholder
                for number in numbers
                if (placeholder := Placeholder(name, number)) not in self._taken
            )
        return self._given[name, value]


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with its edits, which are in order and do not overlap."""
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts += (text[at : edit.span.start], edit.replacement)
        at = edit.span.end
    return "".join((*parts, text[at:]))


def _joined(text: str, redactions: Iterable[Judged]) -> list[tuple[Span, Judged]]:
    """What overlaps becomes one place, replaced as its longest part is: nothing of any part may stay."""
    joined: list[tuple[Span, Judged]] = []
    for judged in sorted(redactions, key=_place):
        span = Span(max(0, judged.finding.span.start), min(judged.finding.span.end, len(text)))
        if span.start >= span.end:
            continue
        if joined and span.start < joined[-1][0].end:
            before, longest = joined[-1]
            whole = Span(before.start, max(before.end, span.end))
            joined[-1] = (whole, longest if _length(longest) >= _length(judged) else judged)
        else:
            joined.append((span, judged))
    return joined


def _place(judged: Judged) -> tuple[int, int]:
    span = judged.finding.span
    return span.start, -span.end


def _length(judged: Judged) -> int:
    return judged.finding.span.end - judged.finding.span.start
