"""Citation marks that name no passage."""

from typing import ClassVar

from sluice_guardrail.domain.citations import citations
from sluice_guardrail.domain.model import Answer, Detection, Finding


class CitationDetector:
    """Checks that every `[n]` resolves. A fabricated source is hard evidence, so its score is 1."""

    name: ClassVar[str] = "citations"
    version: ClassVar[str] = "1"

    def detect(self, subject: Answer) -> Detection:
        """One finding for each mark that does not resolve."""
        known = range(1, len(subject.passages) + 1)
        return Detection.of(
            Finding("citation-unresolved", 1.0, citation.span)
            for citation in citations(subject.text, subject.passages)
            if not all(number in known for number in citation.numbers)
        )
