"""The messages of a chat request, of the present form and of the one before there were tools."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from sluice_gateway.domain.model import Message
from sluice_gateway.domain.tools import ToolCall
from sluice_gateway.http.bodies import RequestModel
from sluice_servicekit.errors import InvalidArgument


class ContentPart(RequestModel):
    """One part of a message; only text can be read here."""

    type: str
    text: str = ""
    refusal: str = ""

    @property
    def read(self) -> str:
        """What it says."""
        return self.refusal if self.type == "refusal" else self.text


class CalledFunction(RequestModel):
    """A function that the model asked for in an earlier turn."""

    name: str = ""
    arguments: str = ""


class CalledTool(RequestModel):
    """A call of a tool; `custom` ones have an `input` in place of arguments."""

    id: str = ""
    function: CalledFunction | None = None
    custom: dict[str, Any] | None = None

    def call(self, otherwise: str) -> ToolCall:
        """The call, of either kind; its id, or another one where it has none."""
        if self.function is not None:
            return ToolCall(self.function.name, self.function.arguments, self.id or otherwise)
        custom = self.custom or {}
        return ToolCall(str(custom.get("name", "")), str(custom.get("input", "")), self.id or otherwise)


class ChatMessage(RequestModel):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[CalledTool], Field(max_length=128)] | None = None
    tool_call_id: str | None = None
    function_call: CalledFunction | None = None
    """As OpenAI named a call before there were tools; a message of the role `function` then has its result."""

    def calls(self, index: int) -> tuple[ToolCall, ...]:
        """All that the message calls."""
        tools = tuple(tool.call(f"call_{index}_{place}") for place, tool in enumerate(self.tool_calls or ()))
        old = self.function_call
        return tools if old is None else (*tools, ToolCall(old.name, old.arguments, f"call_{index}"))


def conversation(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The messages of a run.

    Raises:
        InvalidArgument: a part of one cannot be read.
    """
    result: list[Message] = []
    called = ""
    for index, message in enumerate(messages):
        calls = message.calls(index)
        if message.function_call is not None:
            called = calls[-1].id
        role, answers = message.role, message.tool_call_id or ""
        if role == "function":
            role, answers = "tool", called
        result.append(Message(role, _text(message, index), calls, answers))
    return tuple(result)


def _text(message: ChatMessage, index: int) -> str:
    if not isinstance(message.content, list):
        return message.content or message.refusal or ""
    for position, part in enumerate(message.content):
        if part.type not in ("text", "refusal"):
            field = f"messages[{index}].content[{position}].type"
            raise InvalidArgument(f"{part.type} cannot be read here; send text", field=field)
    return "\n".join(part.read for part in message.content)
