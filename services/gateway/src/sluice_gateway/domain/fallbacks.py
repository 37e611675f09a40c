"""The step `generate`, and what goes on where it fails."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sluice_api.objects.pipeline import Generation, Steps
from sluice_gateway.domain.stepping import StepFailedError
from sluice_servicekit.errors import InvalidArgument, PermissionDenied, ServiceError, Unauthenticated

T = TypeVar("T")

GENERATE = "generate"


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """What a step of generation gave."""

    name: str
    step: Generation
    result: T
    degraded: str = ""
    """Which steps have failed before it, and why."""


async def written(steps: Steps, write: Callable[[str, Generation], Awaitable[T]]) -> Written[T]:
    """Has `generate` write, and where it fails its fallbacks in their order.

    Args:
        write: Writes by a step of the given name.

    Raises:
        StepFailedError: the last of them has failed, or the request itself is wrong.
    """
    name, failures = GENERATE, list[str]()
    step: Generation = steps.generate
    following = iter(steps.chain())
    while True:
        try:
            return Written(name, step, await write(name, step), "; ".join(failures))
        except StepFailedError as failed:
            fallback = next(following, None) if is_caught(failed.error) else None
            if fallback is None:
                raise
            failures.append(f"{failed.step}: {failed.error.reason}")
            name, step = f"{GENERATE}.{fallback[0]}", _inheriting(fallback[1], steps)


def is_caught(error: ServiceError) -> bool:
    """True for a failure of a service; what is wrong with the request would be wrong elsewhere too."""
    return not isinstance(error, InvalidArgument | PermissionDenied | Unauthenticated)


def _inheriting(fallback: Generation, steps: Steps) -> Generation:
    return fallback.model_copy(update={"instructions": fallback.instructions or steps.generate.instructions})
