"""What a run needs of the services, in its own words. Deadlines travel in `sluice_servicekit.deadlines`."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sluice_api.objects.steps import Generation, RewriteStep
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.model import (
    AnswerContext,
    Message,
    Passage,
    Principal,
    Released,
    Reranked,
    Reworded,
    Rewritten,
    Sampling,
    ScreenedInput,
    ScreenedOutput,
    ScreenedPassages,
    Vectors,
    Writing,
)
from sluice_gateway.domain.search import Found, Search
from sluice_gateway.domain.tools import NO_TOOLS, PROSE, AnswerFormat, Tools


class Guard(Protocol):
    """The gates."""

    async def check_input(
        self,
        policy: str,
        principal: Principal,
        run_id: str,
        messages: Sequence[Message],
        tools: Tools = NO_TOOLS,
    ) -> ScreenedInput:
        """The input gate's verdict on all messages, calls of tools and descriptions of tools."""

    async def check_passages(
        self, policy: str, principal: Principal, passages: Sequence[Passage]
    ) -> ScreenedPassages:
        """Which passages a model may read."""

    async def check_output(self, context: AnswerContext, text: str) -> ScreenedOutput:
        """The output gate's verdict on a whole answer."""

    def check_output_stream(
        self, context: AnswerContext, deltas: AsyncIterator[str]
    ) -> AsyncGenerator[Released, None]:
        """The output gate's verdicts while an answer is written; the last one is final."""


class Retriever(Protocol):
    """The knowledge bases."""

    async def search(self, principal: Principal, search: Search) -> Found:
        """The passages that answer best."""


class Reranker(Protocol):
    """The second-stage ranking."""

    async def rerank(
        self,
        principal: Principal,
        query: str,
        vectors: Vectors | None,
        passages: Sequence[Passage],
        top_k: int,
        pipeline: str,
    ) -> Reranked:
        """The best passages in the order of the pipeline's ranker."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an answer is made from."""

    principal: Principal
    step: Generation
    messages: Sequence[Message]
    passages: Sequence[Passage]
    vectors: Vectors | None
    sampling: Sampling
    canary: str = ""
    """A random word that the prompt holds and the answer must not."""
    tools: Tools = field(default=NO_TOOLS)
    answer_format: AnswerFormat = field(default=PROSE)
    priority: Priority = Priority.INTERACTIVE


class Generator(Protocol):
    """What writes answers."""

    def generate(self, prompt: Prompt) -> AsyncGenerator[Writing, None]:
        """The answers' pieces, then the end."""

    async def rewrite(
        self, principal: Principal, step: RewriteStep, turns: Sequence[Message], priority: Priority
    ) -> Rewritten:
        """The last turn as a question that stands alone."""

    async def reword(
        self, principal: Principal, step: RewriteStep, question: str, most: int, priority: Priority
    ) -> Reworded:
        """Up to `most` questions to look for, where the question alone did not find enough: its parts, or other words
        for it."""


@dataclass(frozen=True, slots=True)
class Services:
    """All that a run calls."""

    guard: Guard
    retriever: Retriever
    reranker: Reranker
    generator: Generator
