"""The nouns of generation, frozen."""

from dataclasses import dataclass, field
from enum import StrEnum

from sluice_api.objects.prompt import Prompt
from sluice_inference.domain.routing.queueing import Priority
from sluice_inference.domain.tools import NO_TOOLS, ToolCall, ToolCallDelta, Tools


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an `assistant`."""
    tool_call_id: str = ""
    """Of a `tool`: the call that it answers."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage: half-open range of code points, cosine similarity to the question."""

    start: int
    end: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved piece of a document."""

    document_id: str
    title: str
    text: str
    score: float
    sentences: tuple[Sentence, ...] = ()
    metadata: str = ""
    """The document's, as a JSON object."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; None leaves the engine's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Token and what is added to its logit."""
    n: int = 1
    """Answers."""
    top_logprobs: int | None = None
    """Alternatives of each token's log probability; None asks for no log probabilities."""


class AnswerForm(StrEnum):
    """What an answer is written in; JSON's are OpenAI's words."""

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


@dataclass(frozen=True, slots=True)
class Task:
    """A question and what to answer it from. Passage `i` is cited as `[i+1]`."""

    messages: tuple[Message, ...]
    passages: tuple[Passage, ...]
    sampling: Sampling = field(default=Sampling())
    instructions: str = ""
    model_name: str = ""
    canary: str = ""
    """A random word that the prompt holds and the answer must not; none when empty."""
    tools: Tools = field(default=NO_TOOLS)
    answer_format: AnswerFormat = field(default=PROSE)
    prompt: Prompt = field(default=Prompt())
    """How the prompt is laid out."""
    tenant: str = ""
    """Who asks."""
    priority: Priority = Priority.INTERACTIVE

    @property
    def uses_tools(self) -> bool:
        """Whether there is more to answer from than the passages: tools, or what they gave."""
        return self.tools.callable or any(message.role == "tool" for message in self.messages)

    @property
    def question(self) -> str:
        """The last user message; empty where there is none."""
        return next((message.content for message in reversed(self.messages) if message.role == "user"), "")


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Of all answers."""
    estimated: bool = False
    """The server has not counted them itself."""


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
    """The next piece of an answer."""

    text: str = ""
    choice: int = 0
    """Which answer."""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    finish_reason: FinishReason | None = None
    """Why this answer ended; in its last piece."""
    usage: Usage | None = None
    """Tokens up to here."""

    @property
    def is_text(self) -> bool:
        """Whether it is text of the first answer, and nothing else."""
        return not (self.choice or self.tool_calls or self.logprobs or self.finish_reason)

    @property
    def is_silent(self) -> bool:
        """Whether it brings nothing but `usage`."""
        return not self.text and self.is_text


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a model reads, where that is not all."""

    passages_read: int
    """The first so many passages; the last may be cut. None of the others may be cited."""
    turns_left_out: int = 0
    """Earlier turns that there was no room for."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer, or of all."""

    reason: FinishReason
    """Of the first."""
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unanswerable: bool = False
    estimated: bool = False
    """The server has not counted the tokens itself."""
    system_fingerprint: str = ""
    prepared: Prepared | None = None
    """None where the model has read all."""
    replica: str = ""
    """Which of the server's replicas wrote it."""
    queued_seconds: float = 0.0
    """For which the request waited for a replica."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Turns of `user` and `assistant`, the last of which is a question to rewrite."""

    turns: tuple[Message, ...]
    max_tokens: int
    model_name: str = ""
    search_queries: int = 0
    """Where not 0, up to so many search queries are asked for in place of one question."""
    tenant: str = ""
    priority: Priority = Priority.INTERACTIVE


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A question that stands alone; empty where the engine wrote nothing usable."""

    query: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    queries: tuple[str, ...] = ()
    """Search queries, where these were asked for."""
