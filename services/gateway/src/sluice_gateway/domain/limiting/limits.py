"""Limits as the keys file declares them, and the rules that they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=10**15)]


class Limits(BaseModel):
    """What a tenant or a key may use; None leaves it unlimited."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    """From midnight to midnight, UTC."""
    tokens_per_month: Count | None = None
    """From the first to the last day, UTC."""
    concurrency: Count | None = None
    """Runs at the same time."""

    def over(self, others: "Limits") -> "Limits":
        """These, and the others' where these say nothing."""
        return others.model_copy(update=self.model_dump(exclude_none=True))


class Unit(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    TOKENS = "tokens"


class Span(StrEnum):
    """How a rule counts over time."""

    MINUTE = "minute"
    """A bucket that holds a minute's worth and refills evenly."""
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `limit` units in a span of time."""

    unit: Unit
    span: Span
    limit: int

    @property
    def name(self) -> str:
        """As in the keys file."""
        return f"{self.unit}_per_{self.span}"

    @property
    def is_budget(self) -> bool:
        """True where it counts by the calendar."""
        return self.span is not Span.MINUTE

    @property
    def rate(self) -> float:
        """Units that a bucket gets back in a second."""
        return 0.0 if self.is_budget else self.limit / 60

    def start(self, at: float) -> float:
        """The start of the budget's span that holds a time, in seconds since the epoch; UTC."""
        day = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return (day if self.span is Span.DAY else day.replace(day=1)).timestamp()

    def end(self, at: float) -> float:
        """The end of that span."""
        start = datetime.fromtimestamp(self.start(at), UTC)
        if self.span is Span.DAY:
            return (start + timedelta(days=1)).timestamp()
        return (start + timedelta(days=32)).replace(day=1).timestamp()


def rules_of(limits: Limits) -> Iterator[Rule]:
    """The rules among the limits; `concurrency` is none."""
    for unit, span, limit in (
        (Unit.REQUESTS, Span.MINUTE, limits.requests_per_minute),
        (Unit.TOKENS, Span.MINUTE, limits.tokens_per_minute),
        (Unit.TOKENS, Span.DAY, limits.tokens_per_day),
        (Unit.TOKENS, Span.MONTH, limits.tokens_per_month),
    ):
        if limit is not None:
            yield Rule(unit, span, limit)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose limits they are: `tenant:acme`, `key:ci`."""

    name: str
    limits: Limits
