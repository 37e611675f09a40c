"""What every classifier of attacks offers."""

from collections.abc import Sequence
from typing import Protocol

from sluice_guardrail.domain.model import Channel, Span


class Classifier(Protocol):
    """Scores windows of a text. Thread-safe."""

    @property
    def name(self) -> str:
        """Its name in verdicts."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever it may score the same text otherwise."""
        ...

    @property
    def threshold_set(self) -> str:
        """Which calibration its scores go by."""
        ...

    def windows(self, text: str) -> Sequence[Span]:
        """Overlapping stretches that cover the text, in order, none longer than it reads at once."""
        ...

    def scores(self, windows: Sequence[str], channel: Channel, totals: Sequence[int] = ()) -> Sequence[float]:
        """The calibrated score of each window, 0 to 1: 0.5 is what one in a thousand harmless texts of the channel
        reaches, 0.3 one in a hundred, 0.1 one in twenty.

        Args:
            totals: For each, how many windows its text has; one where none are given. The worst of many says less than
                the worst of few.
        """
        ...
