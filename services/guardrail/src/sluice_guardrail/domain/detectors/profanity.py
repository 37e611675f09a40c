"""Profane words, by a lexicon with severities."""

from typing import ClassVar

from sluice_api.objects.guardrail_policy import ProfanityDetector as ProfanitySpec
from sluice_guardrail.domain.model import Detection, Finding
from sluice_guardrail.domain.normalising.view import View
from sluice_guardrail.domain.normalising.views import FOLDED
from sluice_guardrail.domain.profanity.lexicon import digest, lexicon
from sluice_guardrail.domain.texts import Text

#: Findings of one text.
_MOST = 32


class ProfanityDetector:
    """Whole words of folded text: width, accents, case and invisible characters hide nothing."""

    name: ClassVar[str] = "profanity"

    def __init__(self, spec: ProfanitySpec) -> None:
        self._lexicon = lexicon(spec.allow, spec.deny)
        self.version = f"lexicon-{digest()}"

    def detect(self, subject: Text) -> Detection:
        """One finding for each place, the most severe first where there are too many."""
        view = subject.folded
        found = [match for match in self._lexicon.matches(view.text) if match.term.severity]
        found = sorted(found, key=lambda match: -match.term.severity)[:_MOST]
        return Detection.of(
            _finding(view, subject.text, match.start, match.end, match.term.severity, match.term.category)
            for match in sorted(found, key=lambda match: match.start)
        )


def _finding(view: View, text: str, start: int, end: int, severity: float, category: str) -> Finding:
    span = view.source(start, end)
    plain = text[span.start : span.end].lower() == view.text[start:end]
    return Finding(category, severity, span, "raw" if plain else FOLDED, "*" * (span.end - span.start))
