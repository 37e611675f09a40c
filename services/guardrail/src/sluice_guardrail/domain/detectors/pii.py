"""Personal data, checked and not only matched. A finding says what and where, never the value."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from sluice_api.objects.guardrail_policy import PiiDetector as PiiSpec
from sluice_guardrail.domain.model import Detection, Finding, ScanState
from sluice_guardrail.domain.normalising.encodings import ENCODINGS
from sluice_guardrail.domain.pii.allowing import AllowList
from sluice_guardrail.domain.pii.recogniser import Candidate, Scan
from sluice_guardrail.domain.pii.recognisers import recognisers
from sluice_guardrail.domain.pii.selecting import select
from sluice_guardrail.domain.texts import Text

#: Views in which encoded stretches are decoded, and what is left of a score there: what nobody can read is more
#: often an identifier or a sample. Its place is the whole stretch.
_DECODED = frozenset(encoding.name for encoding in ENCODINGS)
_DECODED_SHARE = 0.8
#: Findings of one text that do not count: whoever lists a thousand numbers needs no thousand of them.
_MOST_OTHERS = 32
#: Dashes that stand for a hyphen within a number; models like to write them.
_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"))


class PiiDetector:
    """Looks through a text as written, folded, and decoded: full-width digits, invisible characters and encodings hide
    nothing."""

    name: ClassVar[str] = "pii"
    version: ClassVar[str] = "2"

    def __init__(self, spec: PiiSpec) -> None:
        self._threshold = spec.threshold
        self._thresholds: dict[str, float] = {str(entity): score for entity, score in spec.thresholds.items()}
        self._entities = frozenset(spec.entities)
        self._recognisers = recognisers(self._entities)
        self._allow = AllowList(spec.allow)

    def detect(self, subject: Text) -> Detection:
        """One finding for each place that counts, and the best of the others; none overlap."""
        unread: set[str] = set()
        found = select(self._findings(subject, unread), self._counts)
        others = sorted((each for each in found if not self._counts(each)), key=lambda each: -each.score)
        left_out = set(others[_MOST_OTHERS:])
        detection = Detection.of(finding for finding in found if finding not in left_out)
        if unread:
            return replace(
                detection, state=ScanState.PARTIAL, detail="not read: " + ", ".join(sorted(unread))
            )
        return detection

    def _counts(self, finding: Finding) -> bool:
        """What the policy acts on goes before what it does not, where both claim a place."""
        return finding.score >= self._thresholds.get(finding.category, self._threshold)

    def _findings(self, subject: Text, unread: set[str]) -> Iterator[Finding]:
        text = subject.text
        for candidate in self._candidates(text, unread):
            yield Finding(candidate.entity, candidate.score, candidate.span)
        view = subject.folded
        if view.text != text.lower():  # nearly every recogniser ignores case
            for candidate in self._candidates(view.text, unread):
                span = view.source(candidate.span.start, candidate.span.end)
                yield Finding(candidate.entity, candidate.score, span, view.name)
        for view in subject.views:
            if not _DECODED.issuperset(view.name.split("+")):
                continue
            for candidate in self._candidates(view.reading.text, unread):
                span = view.reading.source(candidate.span.start, candidate.span.end)
                yield Finding(candidate.entity, candidate.score * _DECODED_SHARE, span, view.name)

    def _candidates(self, text: str, unread: set[str]) -> Iterator[Candidate]:
        scan = Scan(text if text.isascii() else text.translate(_HYPHENS))
        for recogniser in self._recognisers:
            for candidate in recogniser.recognise(scan):
                if candidate.entity in self._entities and not self._allow.holds(candidate):
                    yield candidate
        unread |= scan.unread
