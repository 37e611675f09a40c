"""What one replica knows of one counter: units it has leased and not used, and when to ask for more. Pure."""

from dataclasses import dataclass

from sluice_gateway.domain.limiting.counting import Grant, Want
from sluice_gateway.domain.limiting.limits import Rule

#: The part of a limit that is leased at once. A block bounds what other replicas miss while this one does not use it.
BLOCK_OF_MINUTE = 0.05
BLOCK_OF_BUDGET = 0.01

#: More is leased before it is needed, once less than this part of a block is left.
_LOW = 0.25

#: Seconds between two questions for what was not there, at least and at most.
_SOONEST, _LATEST = 0.05, 1.0


@dataclass(slots=True)
class Meter:
    """One rule of one scope."""

    scope: str
    rule: Rule
    balance: float = 0.0
    """Leased units; negative where more were used than were reserved."""
    free: float = 0.0
    """What was left for all at `seen`."""
    seen: float = 0.0
    ask_again: float = 0.0
    """Not before; the last question got less than it wanted."""
    touched: float = 0.0

    @property
    def block(self) -> float:
        """Units to lease at once."""
        part = BLOCK_OF_BUDGET if self.rule.is_budget else BLOCK_OF_MINUTE
        return max(1.0, self.rule.limit * part)

    def roll(self, now: float) -> None:
        """Forgets what was leased of a budget whose span is over."""
        if self.rule.is_budget and self.seen < self.rule.start(now):
            self.balance, self.free, self.seen, self.ask_again = 0.0, self.rule.limit, now, 0.0

    def may_ask(self, now: float) -> bool:
        """True where a question could bring something."""
        return now >= self.ask_again

    def is_worth_asking(self, need: float, now: float) -> bool:
        """True where too little has been leased and there may be enough for all."""
        return need > 0 and self.balance < need <= self.remaining(now) and self.may_ask(now)

    def is_low(self) -> bool:
        """True where it is time to lease more."""
        return self.balance < self.block * _LOW

    def want(self, need: float) -> Want:
        """What to ask for, to have `need` units and a block."""
        return Want(self.scope, self.rule, take=max(0.0, need - self.balance) + self.block)

    def got(self, want: Want, grant: Grant, now: float) -> None:
        """Takes what was granted."""
        self.balance += grant.units
        self.free, self.seen = grant.free, now
        if grant.units < want.take:
            wait = self.block * _LOW / self.rule.rate if self.rule.rate else _LATEST
            self.ask_again = now + min(_LATEST, max(_SOONEST, wait))

    def remaining(self, now: float) -> float:
        """About what may still be used: what others have used since `seen` is not known here."""
        free = min(float(self.rule.limit), self.free + (now - self.seen) * self.rule.rate)
        return max(0.0, min(float(self.rule.limit), self.balance + free))

    def wait(self, need: float, now: float) -> float:
        """Seconds until `need` units may be there."""
        if self.rule.is_budget:
            return self.rule.end(now) - now
        missing = need - self.remaining(now)
        return max(missing / self.rule.rate, self.ask_again - now, _SOONEST)

    def reset(self, now: float) -> float:
        """Seconds until all of the limit is there again."""
        if self.rule.is_budget:
            return self.rule.end(now) - now
        return (self.rule.limit - self.remaining(now)) / self.rule.rate
