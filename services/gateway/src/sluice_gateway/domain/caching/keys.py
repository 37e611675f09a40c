"""What two requests must have in common to be given one answer. Pure."""

from dataclasses import dataclass, fields

from sluice_api.snapshot import CompiledPipeline
from sluice_gateway.domain.caching import normalising
from sluice_gateway.domain.model import Message, RunRequest

#: Fields of a request that are compared on their own, or not at all: how an answer leaves is no part of it, and what an
#: arm is dealt by, only the arm.
_APART = {"principal", "messages", "stream", "user", "session", "arm"}


@dataclass(frozen=True, slots=True)
class RequestKeys:
    """The keys of one request."""

    exact: bytes
    """Of all that decides the answer."""
    scope: bytes
    """The same without the question's words."""
    in_flight: bytes
    """The same as `exact`, and how the answer leaves: what shares a run gets the very same pieces."""
    question: str
    """The words, where they can be compared: the conversation has one turn. Else empty."""


def keys(request: RunRequest, pipeline: CompiledPipeline, epochs: str, arm: str) -> RequestKeys:
    """The keys of a request.

    Args:
        epochs: Where the tenant's writes stand in the pipeline's knowledge bases.
        arm: The arm or adapter that the request is resolved to.

    Raises:
        NotComparableError: the request holds something that cannot be compared.
    """
    rest = {
        field.name: getattr(request, field.name) for field in fields(RunRequest) if field.name not in _APART
    }
    around = [normalising.reader(request.principal), pipeline.version, epochs, arm, rest]
    question = _single_turn(request.messages)
    others = [message for message in request.messages if not question or message.role != "user"]
    exact = normalising.digest("exact", around, request.messages)
    return RequestKeys(
        exact=exact,
        scope=normalising.digest("scope", around, others),
        in_flight=normalising.digest("in flight", exact, request.stream),
        question=question,
    )


def _single_turn(messages: tuple[Message, ...]) -> str:
    """The question of a conversation that consists of it and of what a system says."""
    said = [message for message in messages if message.role not in ("system", "developer")]
    if len(said) != 1 or said[0].role != "user" or said[0].tool_calls:
        return ""
    return normalising.text(said[0].content)
