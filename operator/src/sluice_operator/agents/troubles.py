"""What went wrong with a call, as plans read it. An agent's own words are passed on; those below are the operator's."""

from typing import Final

from sluice_operator.agents.protocol import Call, Load, Resolve
from sluice_operator.agents.views import Trouble
from sluice_servicekit.errors import (
    Cancelled,
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    ServiceError,
    Unauthenticated,
    Unavailable,
)

#: Nobody answers at the agent's port.
AGENT_UNREACHABLE: Final = "AGENT_UNREACHABLE"
#: The agent has another token than the Secret, or none is there.
UNAUTHENTICATED: Final = Unauthenticated.default_reason
#: The agent did not answer in time.
DEADLINE_EXCEEDED: Final = DeadlineExceeded.default_reason
#: It answers, but did not end in time what it was asked: as it says itself of a source, and its like.
SOURCE_TOO_SLOW: Final = "SOURCE_TOO_SLOW"
ENGINE_TOO_SLOW: Final = "ENGINE_TOO_SLOW"
#: The Secret with the agents' token cannot be read.
TOKEN_UNREADABLE: Final = "TOKEN_UNREADABLE"  # noqa: S105 - a reason
#: The pod is no more.
POD_GONE: Final = "POD_GONE"

_PERMANENT: Final = "permanent"
_PASSING: Final = (Unavailable, ResourceExhausted, Internal, DeadlineExceeded, Cancelled, Unauthenticated)


def pod_gone() -> Trouble:
    """Of a call to a pod that is no more."""
    return Trouble(POD_GONE, "the pod is gone")


def cut_off() -> Trouble:
    """Of a call whose connection was given up, since the pod has another address."""
    return Trouble(AGENT_UNREACHABLE, "the connection to the adapter agent was closed")


def too_slow(call: Call) -> Trouble:
    """Of a call that an agent, which answers, did not end in time."""
    if isinstance(call, Resolve):
        message = f"the files did not come within {call.seconds:g} s; raise spec.load.downloadTimeout"
        return Trouble(SOURCE_TOO_SLOW, message)
    done = "load the adapter" if isinstance(call, Load) else "let go of the adapter"
    return Trouble(
        ENGINE_TOO_SLOW,
        f"vLLM did not {done} within {call.seconds:g} s; see its log, or raise spec.load.timeout",
    )


def is_late(error: ServiceError) -> bool:
    """Whether our own deadline was over, and not one that the agent tells of."""
    return isinstance(error, DeadlineExceeded) and error.reason == DEADLINE_EXCEEDED


def of(error: ServiceError, where: str, token_from: str) -> Trouble:
    """Of a call that failed.

    Args:
        where: The pod and the address that was called.
        token_from: The Secret that the token came from.
    """
    if isinstance(error, Unavailable) and error.reason == Unavailable.default_reason:
        cause = "connection refused" if "onnection refused" in error.message else error.message
        return Trouble(
            AGENT_UNREACHABLE,
            f"no adapter agent answers at {where}: {cause}. See the log of its container, and whether a network "
            "policy keeps the operator from it.",
        )
    if isinstance(error, Unauthenticated):
        return Trouble(
            UNAUTHENTICATED,
            f"the adapter agent at {where} does not take the operator's token; it must have the one that the Secret "
            f"{token_from} holds under `token`.",
        )
    if is_late(error):
        return Trouble(DEADLINE_EXCEEDED, f"the adapter agent at {where} did not answer in time")
    return Trouble(error.reason, error.message, is_permanent(error))


def is_permanent(error: ServiceError) -> bool:
    """True where the same will fail again until a person changes something."""
    said = error.metadata.get(_PERMANENT)
    return said == "true" if said else not isinstance(error, _PASSING)
