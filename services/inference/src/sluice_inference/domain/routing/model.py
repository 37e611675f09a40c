"""The nouns of routing, frozen."""

from collections.abc import Collection, Container
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class Standing(IntEnum):
    """What a replica's breaker lets through; the number is the metric's value."""

    CLOSED = 0
    """All."""
    PROBE = 1
    """One request, to see."""
    OPEN = 2
    """None."""


NOTHING: Final[Container[object]] = frozenset()


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """What is known of a replica at the moment of a choice."""

    name: str
    in_flight: int = 0
    """Requests that we have there, now."""
    others: float = 0.0
    """Requests there, running or waiting, that are not ours, when it was last asked; 0 where that is too long ago."""
    kv_usage: float = 0.0
    """The part of its KV cache that is in use, 0 to 1."""
    slots: int = 0
    """Adapters that it can hold ready at once; 0 where that is not known."""
    active: Collection[str] = ()
    """Adapters of the requests there."""
    resident: Container[object] = NOTHING
    """Adapters that are in its slots, as far as can be told."""
    warm: Container[object] = NOTHING
    """Adapters that are in its memory, as far as can be told."""
    prefixes: Container[object] = NOTHING
    """Blocks of prompts that it has read lately."""
    serves: Container[object] | None = None
    """Adapters that it can serve; None where nobody has said."""
    standing: Standing = Standing.CLOSED
    is_draining: bool = False
    is_healthy: bool = True
    is_busy: bool = False
    """It has said so, and asked to be left alone for a while."""

    @property
    def load(self) -> float:
        """Outstanding requests."""
        return self.in_flight + self.others


@dataclass(frozen=True, slots=True)
class Ask:
    """What a replica is looked for for."""

    adapter: str = ""
    """None when empty."""
    blocks: tuple[int, ...] = ()
    """Of the prompt's beginning."""
    tried: tuple[str, ...] = ()
    """Replicas that have failed this request."""
    only_ready: bool = False
    """No replica will do that is known to be ill or busy."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator may set; see `sluice_api.objects.model_server.Routing`."""

    max_in_flight: int | None = None
    imbalance: float = 0.5


class Why(StrEnum):
    """What decided for a replica."""

    ONLY = "only"
    """There was no other."""
    LOAD = "load"
    """It has the least to do."""
    ADAPTER = "adapter"
    """The adapter is in one of its slots."""
    HOME = "home"
    """The adapter is in nobody's slot, and belongs there."""
    PREFIX = "prefix"
    """It has read the beginning of the prompt."""
    PROBE = "probe"
    """To see whether it is well again."""
    PANIC = "panic"
    """All are ill; one is tried all the same."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A replica, and why."""

    replica: str
    why: Why
    hit: bool = False
    """The adapter that is asked for is in one of its slots."""


class NoChoice(StrEnum):
    """Why there is no replica to send a request to."""

    NONE = "none"
    """None is left to try."""
    FULL = "full"
    """All are as busy as they may be: wait."""
