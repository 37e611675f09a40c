"""The steps of a run, each with what it calls and what the journal is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.retrieval import override
from sluice_api.objects.steps import Generation, OnFail, RewriteStep, StepPolicy
from sluice_gateway.domain.admission.priority import Priority, less_urgent
from sluice_gateway.domain.asking import Asked, asked, unusable
from sluice_gateway.domain.fallbacks import is_caught, written
from sluice_gateway.domain.gating import Gates
from sluice_gateway.domain.model import Finish, Passage, RunRequest, ScreenedInput, Vectors
from sluice_gateway.domain.outcome import BlockedError
from sluice_gateway.domain.ports import Prompt, Services
from sluice_gateway.domain.recording import digest, finish_detail, passages_detail
from sluice_gateway.domain.run import StepState
from sluice_gateway.domain.screened import screened_request
from sluice_gateway.domain.search import Found, Search
from sluice_gateway.domain.stepping import Done, StepFailedError, Stepper
from sluice_gateway.domain.written import Written

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages, and what they were looked for with."""

    screened: ScreenedInput
    request: RunRequest
    """As the input gate lets it go on."""
    query: str
    vectors: Vectors | None
    """None where retrieval has failed and the run goes on without passages."""
    passages: Sequence[Passage]
    degraded: str = ""
    """Why there is less than there should be: the query is only the rules', a leg of the search was left out, or there
    is nothing."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one run between its gates."""

    stepper: Stepper
    services: Services
    spec: PipelineSpec
    gates: Gates
    request: RunRequest
    waits: bool
    """Retrieval waits for the input gate: the question goes to a server, or the gate may replace it."""

    @property
    def priority(self) -> Priority:
        """Before which others models are asked: the least urgent of what request, caller and pipeline say."""
        return less_urgent(self.request.priority, self.request.principal.priority, self.spec.priority)

    async def screen_and_retrieve(self) -> Retrieved:
        """Both at once, unless the question goes to an engine that rewrites it or to a server that helps to find:
        none sees what was not screened.

        Raises:
            BlockedError: the input gate says no.
        """
        question = asked(self.request.messages)
        if not self.waits and (self.spec.steps.rewrite is None or not question.leans):
            return await self._screen_while_retrieving(question.query)
        result, request = await self._screen()
        return await self._retrieved(result, request)

    async def _screen_while_retrieving(self, query: str) -> Retrieved:
        """What was retrieved is dropped when the gate blocks, or when it has changed the question after all: a policy
        may be newer there than here."""
        retrieving = asyncio.create_task(self._retrieve(query))
        try:
            try:
                result, request = await self._screen()
            except BlockedError:
                self.stepper.on_cancel = (StepState.SKIPPED, "BLOCKED")
                raise
            if asked(request.messages).query == query:
                vectors, passages, degraded = await retrieving
                return Retrieved(result, request, query, vectors, passages, degraded)
        finally:
            if not retrieving.done():
                retrieving.cancel()
            # Waits without raising what it raised, and without losing that this run itself is cancelled.
            await asyncio.wait({retrieving})
            if not retrieving.cancelled():
                retrieving.exception()  # has been seen
        return await self._retrieved(result, request)

    async def _screen(self) -> tuple[ScreenedInput, RunRequest]:
        result = await self.gates.input(self.request.messages, self.request.tools)
        return result, screened_request(self.request, result.treated)

    async def screen(self) -> tuple[ScreenedInput, RunRequest]:
        """The input gate alone, and the request as it lets it go on; raises as `screen_and_retrieve`."""
        return await self._screen()

    async def retrieve_screened(self, result: ScreenedInput, request: RunRequest) -> Retrieved:
        """What a request that has been screened is answered from."""
        return await self._retrieved(result, request)

    async def _retrieved(self, result: ScreenedInput, request: RunRequest) -> Retrieved:
        question = asked(request.messages)
        rewrite = self.spec.steps.rewrite if question.leans else None
        query, degraded = await self._rewrite(rewrite, question) if rewrite else (question.query, "")
        vectors, passages, short = await self._retrieve(query)
        return Retrieved(result, request, query, vectors, passages, reasons(degraded, short))

    async def _rewrite(self, step: RewriteStep, question: Asked) -> tuple[str, str]:
        """What to look for, and why the run is degraded where that is only the rules' query."""
        by_rules, turns = question.query, question.turns

        async def work() -> Done[str]:
            written = await self.services.generator.rewrite(
                self.request.principal, step, turns, self.priority
            )
            fault = unusable(written.query, turns)
            query = by_rules if fault else written.query
            detail = {
                "model_server": step.model_server_ref,
                "model": written.model,
                "changed": query != by_rules,
                "query_hash": digest(query),
                "prompt_tokens": written.usage.prompt_tokens,
                "completion_tokens": written.usage.completion_tokens,
            }
            return Done(query, reason=fault, detail=detail)

        return await self.or_else(by_rules, "rewrite", step, work)

    async def _retrieve(self, query: str) -> tuple[Vectors | None, Sequence[Passage], str]:
        """What was found, and why that is less than it should be; nothing where the failure is caught."""
        step = self.spec.steps.retrieve

        async def work() -> Done[Found]:
            found = await self.find(query)
            return Done(found, reason=found.reason, detail=passages_detail(found.passages))

        try:
            found = await self.stepper.run("retrieve", step, work)
        except StepFailedError as failed:
            if step.on_fail != OnFail.CATCH_GENERATE or not is_caught(failed.error):
                raise
            return None, (), f"{failed.step}: {failed.error.reason}"
        return found.vectors, found.passages, left_out("retrieve", found)

    async def find(self, query: str) -> Found:
        """What a question finds, and its vectors: one call, in which they are made."""
        step = self.spec.steps.retrieve
        search = Search(
            knowledge_base=self.spec.knowledge_base_ref,
            more_knowledge_bases=self.spec.more_knowledge_base_refs,
            query=query,
            top_k=step.top_k,
            parameters=override(step.parameters, self.request.retrieval),
            filter=self.request.filter,
        )
        return await self.services.retriever.search(self.request.principal, search)

    async def rerank(self, retrieved: Retrieved) -> tuple[Sequence[Passage], str]:
        """The best passages, and why the run is degraded where they are only the retriever's. Nothing is called where
        retrieval has failed."""
        if retrieved.vectors is None:
            return (), ""
        step = self.spec.steps.rerank

        async def work() -> Done[Sequence[Passage]]:
            ranked = await self.services.reranker.rerank(
                self.request.principal,
                retrieved.query,
                retrieved.vectors,
                retrieved.passages,
                step.top_k,
                self.request.pipeline,
            )
            return Done(ranked.passages, detail={**passages_detail(ranked.passages), **ranked.detail})

        return await self.or_else(retrieved.passages[: step.top_k], "rerank", step, work)

    async def or_else(
        self, otherwise: T, name: str, policy: StepPolicy, work: Callable[[], Awaitable[Done[T]]]
    ) -> tuple[T, str]:
        """The step's result; what there is otherwise, and why, where it may fail and does."""
        try:
            return await self.stepper.run(name, policy, work), ""
        except StepFailedError as failed:
            if policy.on_fail != OnFail.DEGRADE:
                raise
            return otherwise, f"{failed.step}: {failed.error.reason}"

    async def generate(self, prompt: Prompt) -> tuple[str, Finish]:
        """The first answer's text, and the end with all else that was written, by `generate` or by the fallback that
        goes on for it."""

        async def work(step: Generation) -> Done[tuple[str, Finish]]:
            pieces = Written()
            async for event in self.services.generator.generate(replace(prompt, step=step)):
                pieces.take(event)
            finish = pieces.finish
            return Done((pieces.text, finish), detail=finish_detail(finish))

        by = await written(
            self.spec.steps, lambda name, step: self.stepper.run(name, step, lambda: work(step))
        )
        text, finish = by.result
        return text, replace(finish, degraded=by.degraded)


def left_out(step: str, found: Found) -> str:
    """Why a run is degraded whose search was not whole; empty where it was."""
    return f"{step}: {found.reason}" if found.degraded else ""


def reasons(*given: str) -> str:
    """Why a run is degraded, in one line; empty where nothing was given."""
    return "; ".join(reason for reason in given if reason)
