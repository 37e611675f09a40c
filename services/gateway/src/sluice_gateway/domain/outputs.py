"""What the finished steps of a run have given, so that none of them runs twice."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Outputs(Protocol):
    """The outputs of one run's finished steps."""

    async def once(self, step: str, work: Callable[[], Awaitable[T]]) -> T:
        """What the step gave when it finished before; else what `work` gives, which is kept."""


class Passing:
    """Keeps nothing, and runs every step."""

    async def once(self, step: str, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives."""
        return await work()
