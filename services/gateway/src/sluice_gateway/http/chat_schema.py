"""The body of `/v1/chat/completions`: what this gateway reads of OpenAI's, and what it says no to."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sluice_api.objects.retrieval import Retrieval
from sluice_gateway.domain import filters
from sluice_gateway.domain.model import FilterExpression, Message, Principal, RunRequest, Sampling, ToolCall
from sluice_gateway.filter_conversion import filter_message
from sluice_gateway.http.bodies import RequestModel
from sluice_servicekit.errors import InvalidArgument

#: As far as the services' messages reach.
TokenLimit = Annotated[int, Field(ge=1, lt=2**31)]


class ContentPart(RequestModel):
    """One part of a message; only text can be read here."""

    type: str
    text: str = ""


class CalledFunction(RequestModel):
    """A function that the model asked for in an earlier turn."""

    name: str = ""
    arguments: str = ""


class CalledTool(RequestModel):
    """A call of a tool; `custom` ones have an `input` in place of arguments."""

    function: CalledFunction | None = None
    custom: dict[str, Any] | None = None

    def call(self) -> ToolCall:
        """The call, of either kind."""
        if self.function is not None:
            return ToolCall(self.function.name, self.function.arguments)
        custom = self.custom or {}
        return ToolCall(str(custom.get("name", "")), str(custom.get("input", "")))


class ChatMessage(RequestModel):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    tool_calls: Annotated[list[CalledTool], Field(max_length=128)] | None = None
    function_call: CalledFunction | None = None
    """As OpenAI named a call before there were tools."""

    def calls(self) -> tuple[ToolCall, ...]:
        """All that the message calls."""
        tools = tuple(tool.call() for tool in self.tool_calls or ())
        old = self.function_call
        return tools if old is None else (*tools, ToolCall(old.name, old.arguments))


class StreamOptions(RequestModel):
    """Options of a stream."""

    include_usage: bool = False


class ResponseFormat(RequestModel):
    """The answer's form."""

    type: str


class ChatRequest(RequestModel):
    """A question in OpenAI's form; `filter` and `retrieval` are Sluice's own."""

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=2048)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    n: int | None = None
    logprobs: bool | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: ResponseFormat | None = None
    background: bool | None = None
    """Answers at once that the run was taken on; see `/v1/runs`."""
    filter: dict[str, Any] | None = None
    retrieval: Retrieval = Retrieval()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is only allowed where stream is true")
        return self

    def run_request(self, principal: Principal) -> RunRequest:
        """The question.

        Raises:
            InvalidArgument: something is asked for that this version does not do.
        """
        self._refuse_unsupported()
        content = None if self.filter is None else filter_message(filters.read(self.filter))
        return RunRequest(
            pipeline=self.model,
            principal=principal,
            messages=tuple(_message(message, index) for index, message in enumerate(self.messages)),
            sampling=Sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_completion_tokens or self.max_tokens,
                stop=tuple([self.stop] if isinstance(self.stop, str) else self.stop or ()),
                seed=self.seed,
            ),
            filter=None if content is None else FilterExpression(content),
            retrieval=self.retrieval,
            stream=bool(self.stream),
        )

    def _refuse_unsupported(self) -> None:
        plain = self.response_format is None or self.response_format.type == "text"
        unsupported = (
            ("n", self.n not in (None, 1), "one answer at a time: n must be 1"),
            ("logprobs", bool(self.logprobs), "logprobs are not supported"),
            ("tools", bool(self.tools), "tools are not supported"),
            ("functions", bool(self.functions), "functions are not supported"),
            ("response_format", not plain, "response_format must be text"),
        )
        for field, asked, message in unsupported:
            if asked:
                raise InvalidArgument(message, reason="UNSUPPORTED_VALUE", field=field)


def _message(message: ChatMessage, index: int) -> Message:
    if not isinstance(message.content, list):
        return Message(message.role, message.content or "", message.calls())
    for position, part in enumerate(message.content):
        if part.type != "text":
            field = f"messages[{index}].content[{position}].type"
            raise InvalidArgument(f"{part.type} cannot be read here; send text", field=field)
    return Message(message.role, "\n".join(part.text for part in message.content), message.calls())
