"""What every model that reads claims together with passages offers."""

from collections.abc import Sequence
from typing import Protocol

from sluice_guardrail.domain.grounding.scoring import Score


class PairModel(Protocol):
    """Scores claims. Thread-safe."""

    @property
    def version(self) -> str:
        """Changes whenever it may score the same pair otherwise."""
        ...

    @property
    def threshold_set(self) -> str:
        """Which calibration its scores go by."""
        ...

    def read(self, claims: Sequence[tuple[str, Sequence[str]]], until: float) -> Sequence[Score | None]:
        """The score of each claim, given with the passages that it may rest on; None for those that it had no time for.

        Args:
            until: By `time.monotonic`.
        """
        ...
