"""What a model may call, what it calls, and the form of its answer. The caller runs the tools, never Sluice."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for."""

    name: str
    arguments: str
    """JSON, as the model wrote it."""
    id: str = ""
    """Which call a result answers."""


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
    """The JSON schema of its arguments, in JSON; none when empty."""
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

    @property
    def texts(self) -> tuple[str, ...]:
        """What the model reads of them, for the input gate: a description and parameters for each, in order."""
        return tuple(text for tool in self.functions for text in (tool.description, tool.parameters))

    def treated(self, texts: Mapping[int, str]) -> "Tools":
        """With other texts in place of some, by their index in `texts`."""
        if not texts:
            return self
        functions = tuple(
            replace(
                tool,
                description=texts.get(2 * place, tool.description),
                parameters=texts.get(2 * place + 1, tool.parameters),
            )
            for place, tool in enumerate(self.functions)
        )
        return replace(self, functions=functions)


NO_TOOLS = Tools()


class AnswerForm(StrEnum):
    """What an answer is written in; in OpenAI's words."""

    PROSE = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """The form of an answer."""

    form: AnswerForm = AnswerForm.PROSE
    name: str = ""
    schema: str = ""
    """In JSON."""
    strict: bool | None = None

    @property
    def is_json(self) -> bool:
        """Whether the answer is one JSON value."""
        return self.form is not AnswerForm.PROSE


PROSE = AnswerFormat()
