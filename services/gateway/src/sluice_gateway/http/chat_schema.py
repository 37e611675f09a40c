"""The body of `/v1/chat/completions`: what this gateway reads of OpenAI's, and what it says no to."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from sluice_api.objects.retrieval import Retrieval
from sluice_gateway.domain import filters
from sluice_gateway.domain.adapting.naming import pipeline_and_adapter, selecting
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.model import FilterExpression, Principal, RunRequest, Sampling
from sluice_gateway.domain.tools import Tools
from sluice_gateway.filter_conversion import filter_message
from sluice_gateway.http import chat_tools
from sluice_gateway.http.bodies import RequestModel
from sluice_gateway.http.chat_messages import ChatMessage, conversation
from sluice_gateway.http.chat_tools import ChatTool, FunctionDefinition, ResponseFormat
from sluice_servicekit.errors import InvalidArgument

#: As far as the services' messages reach.
TokenLimit = Annotated[int, Field(ge=1, lt=2**31)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Bias = Annotated[float, Field(ge=-100, le=100)]

#: Answers to one question.
_MOST_CHOICES = 16


class StreamOptions(RequestModel):
    """Options of a stream."""

    include_usage: bool | None = None


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
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[Annotated[str, Field(pattern=r"^\d{1,9}$")], Bias] | None = None
    n: Annotated[int, Field(ge=1, le=_MOST_CHOICES)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[ChatTool], Field(max_length=128)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[FunctionDefinition], Field(max_length=128)] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: ResponseFormat | None = None
    background: bool | None = None
    """Answers at once that the run was taken on; see `/v1/runs`."""
    filter: dict[str, Any] | None = None
    retrieval: Retrieval = Retrieval()
    user: str | None = None
    safety_identifier: str | None = None
    """In place of `user`, which OpenAI has deprecated."""
    metadata: dict[str, Any] | None = None
    """`session_id` says which conversation it is; `task` and `locale` select an adapter."""
    service_tier: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is only allowed where stream is true")
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs is only allowed where logprobs is true")
        if self.tools and self.functions:
            raise ValueError("functions are what tools were called before: send one of them")
        return self

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends in its usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def run_request(self, principal: Principal) -> RunRequest:
        """The question.

        Raises:
            InvalidArgument: a part of it cannot be read, or names what is not there.
        """
        content = None if self.filter is None else filter_message(filters.read(self.filter))
        pipeline, adapter = pipeline_and_adapter(self.model)
        return RunRequest(
            pipeline=pipeline,
            adapter=adapter,
            principal=principal,
            messages=conversation(self.messages),
            sampling=self._sampling(),
            filter=None if content is None else FilterExpression(content),
            retrieval=self.retrieval,
            stream=bool(self.stream),
            user=self.safety_identifier or self.user or "",
            session=self._session(),
            task=self._selecting("task"),
            locale=self._selecting("locale"),
            priority=Priority.BATCH if self.service_tier == "flex" else Priority.INTERACTIVE,
            tools=self._tools(),
            answer_format=chat_tools.answer_format(self.response_format),
        )

    def _session(self) -> str:
        session = (self.metadata or {}).get("session_id")
        return session if isinstance(session, str) else ""

    def _selecting(self, name: str) -> str:
        return selecting(f"metadata.{name}", (self.metadata or {}).get(name))

    def _sampling(self) -> Sampling:
        bias = self.logit_bias or {}
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            stop=tuple([self.stop] if isinstance(self.stop, str) else self.stop or ()),
            seed=self.seed,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
            logit_bias=tuple(sorted((int(token), weight) for token, weight in bias.items())),
            n=self.n or 1,
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )

    def _tools(self) -> Tools:
        if self.functions:
            return chat_tools.functions(self.functions, self.function_call)
        if self.function_call is not None:
            raise InvalidArgument("function_call needs functions", field="function_call")
        return chat_tools.tools(self.tools, self.tool_choice, parallel=self.parallel_tool_calls)
