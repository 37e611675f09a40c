"""What a model may call, and what it calls. The caller runs the tools, never the engine."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of an earlier turn."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """The next piece of a call."""

    index: int
    """Which call of the answer."""
    id: str = ""
    """In the first piece only, as is the name."""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str = ""
    parameters: str = ""
    """The JSON schema of its arguments, in JSON."""
    strict: bool | None = None


class ToolChoice(StrEnum):
    """Whether the model calls tools."""

    DEFAULT = ""
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


@dataclass(frozen=True, slots=True)
class Tools:
    """What the model may call, and how."""

    functions: tuple[Tool, ...] = ()
    choice: ToolChoice = ToolChoice.DEFAULT
    name: str = ""
    """The function that it must call, where `choice` is `named`."""
    parallel: bool | None = None

    @property
    def callable(self) -> bool:
        """Whether the model may call any."""
        return bool(self.functions) and self.choice is not ToolChoice.NONE


NO_TOOLS = Tools()
