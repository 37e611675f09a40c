"""The breaker of a replica: it opens when requests fail, and lets one through later, to see. Pure."""

from dataclasses import dataclass

from sluice_inference.domain.routing.model import Standing

#: Failures one after the other that open it.
_IN_A_ROW = 5

#: The part of recent requests whose failing opens it, and the weight of the latest one.
_RATE, _WEIGHT = 0.5, 0.1

#: A part that is as good as none.
_NEGLIGIBLE = 0.001

#: Seconds that it stays open the first time, each time twice as long, and at most.
_FIRST, _LONGEST = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Of one replica."""

    in_a_row: int = 0
    rate: float = 0.0
    """The part of recent requests that failed, the latest weighing most."""
    opened: int = 0
    """Times that it has opened since it was last closed."""
    until: float = 0.0
    """When it lets one through."""
    is_probing: bool = False
    """One is on its way."""

    def standing(self, now: float) -> Standing:
        """What it lets through."""
        if not self.opened:
            return Standing.CLOSED
        return Standing.OPEN if self.is_probing or now < self.until else Standing.PROBE

    def sent(self) -> "Breaker":
        """A request is on its way."""
        if not self.opened or self.is_probing:
            return self
        return Breaker(self.in_a_row, self.rate, self.opened, self.until, is_probing=True)

    def succeeded(self) -> "Breaker":
        """A request was answered. One that was on its way before it opened does not close it."""
        if self.opened and not self.is_probing:
            return self
        if not self.opened and not self.in_a_row and self.rate < _NEGLIGIBLE:
            return self
        return Breaker(rate=0.0 if self.opened else self.rate * (1 - _WEIGHT))

    def left(self) -> "Breaker":
        """A request has ended and says nothing of the replica: its caller has left, or it was wrong itself."""
        if not self.is_probing:
            return self
        return Breaker(self.in_a_row, self.rate, self.opened, self.until)

    def failed(self, now: float, chance: float, *, may_open: bool) -> "Breaker":
        """A request failed.

        Args:
            chance: 0 to 1: spreads the moments at which processes try again.
            may_open: False where too many others are open; it then only counts.
        """
        in_a_row, rate = self.in_a_row + 1, self.rate * (1 - _WEIGHT) + _WEIGHT
        fails = bool(self.opened) or in_a_row >= _IN_A_ROW or rate >= _RATE
        if not fails or not may_open:
            return Breaker(in_a_row, rate, self.opened, self.until)
        seconds = min(_LONGEST, _FIRST * 2.0**self.opened)
        return Breaker(in_a_row, rate, self.opened + 1, now + seconds * (0.5 + chance))
