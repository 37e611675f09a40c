"""The step `generate`, and what goes on where it fails."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sluice_api.objects.steps import Generation, Steps
from sluice_gateway.domain.stepping import StepFailedError
from sluice_servicekit.errors import InvalidArgument, PermissionDenied, ServiceError, Unauthenticated

T = TypeVar("T")

GENERATE = "generate"

#: The reason of an engine that has no room for the question; another one may have.
_TOO_LONG = "PROMPT_TOO_LONG"
#: The reasons of an engine that cannot do what is asked of it, or has no room for it.
_UNABLE = {"UNSUPPORTED_VALUE", _TOO_LONG}


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
        StepFailedError: the last of them has failed, or the request itself is wrong. A fallback that cannot do what is
            asked for is passed over: what is wrong is what failed before it.
    """
    cause: StepFailedError | None = None
    name, failures = GENERATE, list[str]()
    step: Generation = steps.generate
    following = iter(steps.chain())
    while True:
        try:
            return Written(name, step, await write(name, step), "; ".join(failures))
        except StepFailedError as failed:
            unable = cause is not None and failed.error.reason in _UNABLE
            caught = unable or failed.error.reason == _TOO_LONG or is_caught(failed.error)
            fallback = next(following, None) if caught else None
            if fallback is None:
                if cause is not None and unable:
                    raise cause from failed
                raise
            cause = cause if unable else failed
            failures.append(f"{failed.step}: {failed.error.reason}")
            name, step = f"{GENERATE}.{fallback[0]}", _inheriting(fallback[1], steps)


def is_caught(error: ServiceError) -> bool:
    """True for a failure of a service; what is wrong with the request would be wrong elsewhere too."""
    return not isinstance(error, InvalidArgument | PermissionDenied | Unauthenticated)


def _inheriting(fallback: Generation, steps: Steps) -> Generation:
    of = steps.generate
    inherited = {
        "instructions": fallback.instructions or of.instructions,
        "prompt": fallback.prompt or of.prompt,
    }
    return fallback.model_copy(update=inherited)
