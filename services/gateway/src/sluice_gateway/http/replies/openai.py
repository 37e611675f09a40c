"""What the routes that OpenAI has reply."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class ErrorDetail(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    """The field that is wrong."""
    code: str | None
    """A stable word for programs."""
    step: str | None = None
    """The step of the run that failed; only where a run did."""


class Error(BaseModel):
    """Every error."""

    error: ErrorDetail


class Usage(BaseModel):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Finding(BaseModel):
    """What a detector has found in a text."""

    detector: str
    category: str
    score: float
    threshold: float
    decision: str
    segment: int
    span: list[int] = Field(min_length=2, max_length=2)
    """Start and end, in code points."""


class StepFlag(Finding):
    """A finding that did not end the run."""

    step: str


class ViewedFinding(Finding):
    """A finding, and the view of the text it was made in."""

    view: str


class RunVerdict(BaseModel):
    """What the gate that decided says."""

    decision: str
    reason: str
    policy: str
    policy_version: str
    partial: bool
    findings: list[ViewedFinding]


class CitationReply(BaseModel):
    """A passage that the text cites."""

    number: int
    document_id: str
    chunk_id: str
    title: str
    score: float
    text: str
    metadata: dict[str, Any]


class Extension(BaseModel):
    """What OpenAI has no seat for."""

    run_id: str
    state: str
    unanswerable: bool
    citations: list[CitationReply]
    flags: list[StepFlag]
    verdict: RunVerdict | None = None
    fault: str | None = None
    """`ANSWER_NOT_JSON` where JSON was asked for and something else was written; absent else."""
    experiment: str | None = None
    arm: str | None = None
    """The experiment's arm that answered; absent where there is none."""
    adapter: str | None = None
    """The alias of the adapter that was asked for, or chosen; absent for the base model."""


class UrlCitation(BaseModel):
    """Where a mark stands, and what it cites."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """A `[n]` mark."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class FunctionReply(BaseModel):
    """A function that the model calls."""

    name: str | None = None
    """Absent in the later pieces of a stream."""
    arguments: str
    """JSON, or in a stream the next piece of it."""


class ToolReply(BaseModel):
    """A call of a tool, or the next piece of one."""

    index: int | None = None
    """Which call of the answer; in streams."""
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionReply


class AnswerMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Annotation] | None = None
    tool_calls: list[ToolReply] | None = None
    function_call: FunctionReply | None = None
    """Where `functions` were sent."""


class ChatChoice(BaseModel):
    """One answer."""

    index: int
    message: AnswerMessage
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class ChatCompletion(BaseModel):
    """OpenAI's `chat.completion`."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str | None
    """The engine's configuration, as it names it."""
    sluice: Extension


class Delta(BaseModel):
    """What a chunk adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None
    tool_calls: list[ToolReply] | None = None
    function_call: FunctionReply | None = None


class ChunkChoice(BaseModel):
    """A piece of one answer."""

    index: int
    delta: Delta
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"] | None


class ChatCompletionChunk(BaseModel):
    """OpenAI's `chat.completion.chunk`. The stream ends in `[DONE]`, or in an error and nothing after it."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    system_fingerprint: str | None = None
    """With the last piece of each answer, as is `sluice` with that of the first."""
    sluice: Extension | None = None


class TextChoice(BaseModel):
    """The answer to one prompt."""

    text: str
    index: int
    logprobs: None
    finish_reason: Literal["stop", "length", "content_filter"] | None
    sluice: Extension | None = None
    """With the answer's end."""


class TextCompletion(BaseModel):
    """OpenAI's `text_completion`; a stream's chunks have the same form."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | None = None


class Vector(BaseModel):
    """A text's vector."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    """Numbers, or with `base64` their bytes: single precision, little-endian."""


class EmbeddingUsage(BaseModel):
    """Tokens read, as the built-in model counts them."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """OpenAI's list of embeddings."""

    object: Literal["list"]
    data: list[Vector]
    model: str
    usage: EmbeddingUsage


class Model(BaseModel):
    """A pipeline, or an adapter that answers in it, as OpenAI describes a model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    description: str
    parent: str | None
    """Of an adapter, its pipeline."""


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"]
    data: list[Model]
