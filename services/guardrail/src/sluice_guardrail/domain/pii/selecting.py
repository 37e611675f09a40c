"""Which candidates stay where several claim the same place."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable

from sluice_guardrail.domain.model import Finding


def select(findings: Iterable[Finding], counts: Callable[[Finding], bool]) -> list[Finding]:
    """The best of them without overlaps, by place.

    Those that count win; then the higher score, since it is made of what is known beyond the digits; then the longer
    one, then the one that is read in the plain text.
    """
    kept: dict[int, Finding] = {}
    starts: list[int] = []
    for finding in sorted(findings, key=lambda each: (not counts(each), *_rank(each))):
        span = finding.span
        following = bisect_left(starts, span.start)
        before = kept[starts[following - 1]] if following else None
        overlaps = following < len(starts) and starts[following] < span.end
        if not overlaps and (before is None or before.span.end <= span.start):
            insort(starts, span.start)
            kept[span.start] = finding
    return [kept[start] for start in starts]


def _rank(finding: Finding) -> tuple[float, int, bool, int, str]:
    span = finding.span
    return -finding.score, span.start - span.end, finding.view != "raw", span.start, finding.category
