"""Which candidates stay where several claim the same place."""

from collections.abc import Iterable

from sluice_guardrail.domain.model import Finding, Span


def select(findings: Iterable[Finding], most: int) -> list[Finding]:
    """The best of them without overlaps, `most` at most, by place.

    The higher score wins, since it is made of what is known beyond the digits; then the longer one, then the one that
    is read in the plain text.
    """
    kept: list[Finding] = []
    for finding in sorted(findings, key=_rank):
        if len(kept) == most:
            break
        if not any(_overlap(finding.span, other.span) for other in kept):
            kept.append(finding)
    return sorted(kept, key=lambda finding: finding.span.start)


def _rank(finding: Finding) -> tuple[float, int, bool, int, str]:
    span = finding.span
    return -finding.score, span.start - span.end, finding.view != "raw", span.start, finding.category


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
