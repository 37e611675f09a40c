"""The body of `/v1/completions`: what this gateway reads of OpenAI's older form, and what it says no to."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from sluice_api.objects.retrieval import Retrieval
from sluice_gateway.domain import filters
from sluice_gateway.domain.adapting.naming import pipeline_and_adapter
from sluice_gateway.domain.model import FilterExpression, Message, Principal, RunRequest, Sampling
from sluice_gateway.filter_conversion import filter_message
from sluice_gateway.http.bodies import RequestModel
from sluice_gateway.http.chat_schema import StreamOptions, TokenLimit
from sluice_servicekit.errors import InvalidArgument

#: Prompts of one request; each is a run.
_MOST_PROMPTS = 16


class CompletionRequest(RequestModel):
    """A prompt in OpenAI's older form; `filter` and `retrieval` are Sluice's own."""

    model: Annotated[str, Field(min_length=1)]
    prompt: str | Annotated[list[Any], Field(min_length=1, max_length=_MOST_PROMPTS)]
    """One text, or up to 16, each answered by a run of its own; lists of tokens are refused."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: TokenLimit | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None
    filter: dict[str, Any] | None = None
    retrieval: Retrieval = Retrieval()
    user: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is only allowed where stream is true")
        return self

    def run_requests(self, principal: Principal) -> list[RunRequest]:
        """The questions, one for each prompt.

        Raises:
            InvalidArgument: something is asked for that this version does not do.
        """
        self._refuse_unsupported()
        content = None if self.filter is None else filter_message(filters.read(self.filter))
        pipeline, adapter = pipeline_and_adapter(self.model)
        return [
            RunRequest(
                pipeline=pipeline,
                adapter=adapter,
                principal=principal,
                messages=(Message("user", prompt),),
                sampling=Sampling(
                    temperature=self.temperature,
                    top_p=self.top_p,
                    max_tokens=self.max_tokens,
                    stop=tuple([self.stop] if isinstance(self.stop, str) else self.stop or ()),
                    seed=self.seed,
                ),
                filter=None if content is None else FilterExpression(content),
                retrieval=self.retrieval,
                stream=bool(self.stream),
                user=self.user or "",
            )
            for prompt in self._prompts()
        ]

    def _prompts(self) -> list[str]:
        given = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        for index, prompt in enumerate(given):
            field = "prompt" if isinstance(self.prompt, str) else f"prompt[{index}]"
            if isinstance(prompt, int | list):
                raise InvalidArgument(
                    "tokens are not read: send texts", reason="UNSUPPORTED_VALUE", field=field
                )
            if not isinstance(prompt, str):
                raise InvalidArgument("prompt must be a text or a list of texts", field=field)
            if not prompt.strip():
                raise InvalidArgument("the prompt is empty", field=field)
        return given

    def _refuse_unsupported(self) -> None:
        unsupported = (
            ("n", self.n not in (None, 1), "one answer to a prompt: n must be 1"),
            ("best_of", self.best_of not in (None, 1), "one answer to a prompt: best_of must be 1"),
            ("echo", bool(self.echo), "the prompt is not echoed: echo must be false"),
            ("suffix", bool(self.suffix), "text is not filled in before a suffix; leave suffix out"),
            ("logprobs", self.logprobs is not None, "logprobs of this form are not supported"),
        )
        for field, asked, message in unsupported:
            if asked:
                raise InvalidArgument(message, reason="UNSUPPORTED_VALUE", field=field)
