"""What answers are made of."""

from dataclasses import dataclass

from sluice_gateway.domain.tools import ToolCall, ToolCallDelta


@dataclass(frozen=True, slots=True)
class Logprob:
    """A token's log probability."""

    token: str
    value: float
    raw: bytes | None = None
    """Its bytes in UTF-8."""
    top: tuple["Logprob", ...] = ()
    """The most likely tokens at its place."""


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an answer that is more than text, or is not the first."""

    text: str = ""
    choice: int = 0
    """Which answer."""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    finish_reason: str = ""
    """Why this answer ended; in its last piece. The first one's is in `Finish`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One whole answer."""

    text: str
    reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
