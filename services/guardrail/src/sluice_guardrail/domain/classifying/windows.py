"""What a classifier is to read of a text: windows over all of it, and over what another view shows differently."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.ciphers import is_ciphered
from sluice_guardrail.domain.normalising.view import View
from sluice_guardrail.domain.normalising.views import FOLDED, is_rearranged
from sluice_guardrail.domain.texts import Text

#: Characters around what a view shows differently that are read with it.
_AROUND = 160

#: Cuts a text into overlapping stretches.
Cut = Callable[[str], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a view."""

    view: View
    original: str
    """The text that it is a view of."""
    start: int
    end: int
    total: int = 1
    """How many windows are read of the text."""

    @property
    def text(self) -> str:
        """As folded."""
        return self.view.text[self.start : self.end]

    @property
    def source(self) -> Span:
        """Where it stands in the original."""
        return self.view.source(self.start, self.end)

    @property
    def written(self) -> str:
        """As the original has it, with its capitals; as the view has it where only that shows it."""
        if self.view.name != FOLDED:
            return self.text
        source = self.source
        return self.original[source.start : source.end]

    @property
    def shown_by(self) -> str:
        """The view's name in findings."""
        return "raw" if self.view.name == FOLDED and self.written.lower() == self.text else self.view.name


def windows(text: Text, cut: Cut) -> list[Window]:
    """All windows, the plainest view's first; none is there twice."""
    if not text.text:
        return []
    plain = text.views[0]
    spans = [(plain, Span(0, len(plain.text)))]
    spans += [(view, _changed(plain.text, view.text)) for view in text.views[1:] if _is_other(view, plain)]
    found: dict[str, Window] = {}
    for view, part in spans:
        for span in cut(view.text[part.start : part.end]):
            window = Window(view, text.text, part.start + span.start, part.start + span.end)
            found.setdefault(window.text, window)
    return [replace(window, total=len(found)) for window in found.values()]


def _is_other(view: View, plain: View) -> bool:
    # Ordinary text is noise under a cipher; what hides there is for rules, which look for few words. Text without its
    # tags or in other lines reads as before.
    return not is_ciphered(view.name) and not is_rearranged(view.name) and view.text != plain.text


def _changed(plain: str, other: str) -> Span:
    """The stretch of the other that holds all that differs, and a little around it."""
    before = _shared_start(plain, other)
    after = _shared_start(plain[before:][::-1], other[before:][::-1])
    return Span(max(0, before - _AROUND), min(len(other), len(other) - after + _AROUND))


def _shared_start(one: str, other: str) -> int:
    """How many characters both begin with; compares slices, halving, since that runs in C."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
