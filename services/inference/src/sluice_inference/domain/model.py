"""The nouns of generation, frozen."""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    content: str


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


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; None leaves the engine's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


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

    @property
    def question(self) -> str:
        """The last user message; empty where there is none."""
        return next((message.content for message in reversed(self.messages) if message.role == "user"), "")


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer."""

    reason: FinishReason
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unanswerable: bool = False


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Turns of `user` and `assistant`, the last of which is a question to rewrite."""

    turns: tuple[Message, ...]
    max_tokens: int
    model_name: str = ""
    search_queries: int = 0
    """Where not 0, up to so many search queries are asked for in place of one question."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A question that stands alone; empty where the engine wrote nothing usable."""

    query: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    queries: tuple[str, ...] = ()
    """Search queries, where these were asked for."""
