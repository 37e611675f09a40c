"""An answer as it leaves: redacted, and with what was redacted from the request put back."""

from collections.abc import Iterable, Mapping, Sequence

from sluice_guardrail.domain.model import Decision, Edit, Judged, Verdict
from sluice_guardrail.domain.redacting.placeholders import Placeholder, mentions
from sluice_guardrail.domain.redacting.redactor import Redactor, applied


class Leaving:
    """One answer on its way out, whole or piece by piece. Not thread-safe.

    The answer is screened with its placeholders. What is put back is the caller's own and is screened no more.
    """

    def __init__(self, kept: Mapping[Placeholder, str], passages: Iterable[str]) -> None:
        """A placeholder that a passage holds is not put back: nobody can say whose it is, and a hostile passage must
        not place a caller's values in an answer."""
        foreign = {placeholder for passage in passages for _, placeholder in mentions(passage)}
        self._kept = {placeholder: value for placeholder, value in kept.items() if placeholder not in foreign}
        self._redactor = Redactor()
        self._redactor.reserve({*kept, *foreign})

    @property
    def restores(self) -> bool:
        """True where there is anything to put back."""
        return bool(self._kept)

    def piece(self, text: str, redactions: Sequence[Judged]) -> str:
        """The next piece, which holds its placeholders and the places of its redactions whole."""
        edits = self._redactor.edits(text, redactions)
        restored = [
            Edit(span, self._kept[placeholder])
            for span, placeholder in (mentions(text) if self._kept else ())
            if placeholder in self._kept
        ]
        return applied(text, _without_overlaps(edits, restored))


def whole(text: str, verdict: Verdict, kept: Mapping[Placeholder, str], passages: Iterable[str]) -> str:
    """A whole answer as it may leave; empty where it may not."""
    if verdict.decision is Decision.BLOCK:
        return ""
    return Leaving(kept, passages).piece(text, verdict.redactions)


def _without_overlaps(edits: Sequence[Edit], restored: Sequence[Edit]) -> list[Edit]:
    """Both in order; where they overlap, what is redacted stays so."""
    kept: list[Edit] = []
    waiting = list(reversed(edits))
    for edit in restored:
        while waiting and waiting[-1].span.end <= edit.span.start:
            kept.append(waiting.pop())
        if not waiting or waiting[-1].span.start >= edit.span.end:
            kept.append(edit)
    return [*kept, *reversed(waiting)]
