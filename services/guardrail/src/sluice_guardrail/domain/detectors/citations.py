"""What an answer gives as said elsewhere: passages by `[n]`, and quotations."""

from collections.abc import Iterator
from typing import ClassVar

from sluice_guardrail.domain.citations import citations
from sluice_guardrail.domain.model import Detection, Finding
from sluice_guardrail.domain.quotations import holds, quotations, spoken
from sluice_guardrail.domain.texts import Answer


class CitationDetector:
    """Checks that every `[n]` resolves, and that what is quoted stands in a passage or in the question.

    Both are hard evidence: the score is 1. Where there are no passages, quotations are not looked up.
    """

    name: ClassVar[str] = "citations"
    version: ClassVar[str] = "2"

    def detect(self, subject: Answer) -> Detection:
        """One finding for each mark that does not resolve, and for each quotation that is nowhere."""
        return Detection.of([*_unresolved(subject), *_misquoted(subject)])


def _unresolved(subject: Answer) -> Iterator[Finding]:
    known = range(1, len(subject.passages) + 1)
    for citation in citations(subject.prose, subject.passages):
        if not all(number in known for number in citation.numbers):
            yield Finding("citation-unresolved", 1.0, citation.span)


def _misquoted(subject: Answer) -> Iterator[Finding]:
    found = list(quotations(subject.prose)) if subject.passages else []
    sources = [spoken(text) for text in (*subject.evidence, subject.question)] if found else []
    for quotation in found:
        if not any(holds(source, quotation.parts) for source in sources):
            yield Finding("quote-absent", 1.0, quotation.span)
