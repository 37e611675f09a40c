"""The steps of a run, each with what it calls and what the journal is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from sluice_api.objects.pipeline import OnFail, PipelineSpec, RewriteStep, StepPolicy
from sluice_api.objects.retrieval import override
from sluice_gateway.domain.asking import Asked, unusable
from sluice_gateway.domain.model import Decision, Finish, Passage, RunRequest, Vectors, Verdict
from sluice_gateway.domain.outcome import BlockedError
from sluice_gateway.domain.ports import Prompt, Services
from sluice_gateway.domain.recording import digest, passages_detail, verdict_detail
from sluice_gateway.domain.run import StepState
from sluice_gateway.domain.search import Found, Search
from sluice_gateway.domain.stepping import Done, StepFailedError, Stepper
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages, and what they were looked for with."""

    screened: Verdict
    """The input gate's verdict on the question."""
    query: str
    vectors: Vectors
    passages: Sequence[Passage]
    degraded: str = ""
    """Why there is less than there should be: the query is only the rules', or a leg of the search was left out."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one run."""

    stepper: Stepper
    services: Services
    spec: PipelineSpec
    request: RunRequest
    asked: Asked
    leaves_the_machine: bool
    """Retrieval sends the question's text to a server."""

    async def screen_and_retrieve(self) -> Retrieved:
        """Both at once, unless the question goes to an engine that rewrites it or to a server that helps to find:
        none sees what was not screened.

        Raises:
            BlockedError: the input gate says no.
        """
        rewrite = self.spec.steps.rewrite if self.asked.leans else None
        if rewrite is None and not self.leaves_the_machine:
            return await self._screen_while_retrieving()
        verdict = await self._guard_input()
        if verdict.decision is Decision.BLOCK:
            raise BlockedError("guard_input", verdict)
        query, degraded = await self._rewrite(rewrite) if rewrite else (self.asked.query, "")
        vectors, found = await self._retrieve(query)
        return Retrieved(verdict, query, vectors, found.passages, _reasons(degraded, _left_out(found)))

    async def _screen_while_retrieving(self) -> Retrieved:
        """What was retrieved is dropped when the gate blocks."""
        retrieving = asyncio.create_task(self._retrieve(self.asked.query))
        try:
            verdict = await self._guard_input()
            if verdict.decision is Decision.BLOCK:
                self.stepper.on_cancel = (StepState.SKIPPED, "BLOCKED")
                raise BlockedError("guard_input", verdict)
            vectors, found = await retrieving
            return Retrieved(verdict, self.asked.query, vectors, found.passages, _left_out(found))
        finally:
            if not retrieving.done():
                retrieving.cancel()
            with suppress(asyncio.CancelledError, StepFailedError):
                await retrieving

    async def _guard_input(self) -> Verdict:
        async def work() -> Done[Verdict]:
            with tracing.span(names.SPAN_GUARD, {names.POLICY: self.spec.guardrail_policy_ref}):
                verdict = await self.services.guard.check_input(
                    self.spec.guardrail_policy_ref, self.request.principal, self.request.messages
                )
            return _judged(verdict)

        return await self.stepper.run("guard_input", self.spec.steps.guard_input, work)

    async def _rewrite(self, step: RewriteStep) -> tuple[str, str]:
        """What to look for, and why the run is degraded where that is only the rules' query."""
        by_rules, turns = self.asked.query, self.asked.turns

        async def work() -> Done[str]:
            written = await self.services.generator.rewrite(self.request.principal, step, turns)
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

        return await self._or_else(by_rules, "rewrite", step, work)

    async def _retrieve(self, query: str) -> tuple[Vectors, Found]:
        step = self.spec.steps.retrieve
        retriever = self.services.retriever

        async def work() -> Done[tuple[Vectors, Found]]:
            vectors = await retriever.embed(query, self.spec.knowledge_base_ref)
            search = Search(
                knowledge_base=self.spec.knowledge_base_ref,
                more_knowledge_bases=self.spec.more_knowledge_base_refs,
                query=query,
                vectors=vectors,
                top_k=step.top_k,
                parameters=override(step.parameters, self.request.retrieval),
                filter=self.request.filter,
            )
            found = await retriever.search(self.request.principal, search)
            return Done((vectors, found), reason=found.reason, detail=passages_detail(found.passages))

        return await self.stepper.run("retrieve", step, work)

    async def rerank(self, retrieved: Retrieved) -> tuple[Sequence[Passage], str]:
        """The best passages, and why the run is degraded where they are only the retriever's."""
        step = self.spec.steps.rerank

        async def work() -> Done[Sequence[Passage]]:
            ranked = await self.services.reranker.rerank(
                self.request.principal, retrieved.query, retrieved.vectors, retrieved.passages, step.top_k
            )
            detail = {**passages_detail(ranked.passages), "scored": ranked.scored, "model": ranked.model}
            return Done(ranked.passages, detail=detail)

        return await self._or_else(retrieved.passages[: step.top_k], "rerank", step, work)

    async def _or_else(
        self, otherwise: T, name: str, policy: StepPolicy, work: Callable[[], Awaitable[Done[T]]]
    ) -> tuple[T, str]:
        """The step's result; what there is otherwise, and why, where it may fail and does."""
        try:
            return await self.stepper.run(name, policy, work), ""
        except StepFailedError as failed:
            if policy.on_fail is not OnFail.DEGRADE:
                raise
            return otherwise, f"{failed.step}: {failed.error.reason}"

    async def generate(self, prompt: Prompt) -> tuple[str, Finish]:
        """The whole answer."""

        async def work() -> Done[tuple[str, Finish]]:
            pieces: list[str] = []
            finish = Finish("stop")
            async for event in self.services.generator.generate(prompt):
                if isinstance(event, Finish):
                    finish = event
                else:
                    pieces.append(event)
            return Done(("".join(pieces), finish), detail=_generation_detail(finish))

        return await self.stepper.run("generate", self.spec.steps.generate, work)

    async def guard_output(self, text: str, passages: Sequence[Passage]) -> Verdict:
        """The output gate's verdict.

        Raises:
            BlockedError: it says no.
        """

        async def work() -> Done[Verdict]:
            with tracing.span(names.SPAN_GUARD, {names.POLICY: self.spec.guardrail_policy_ref}):
                verdict = await self.services.guard.check_output(
                    self.spec.guardrail_policy_ref,
                    self.request.principal,
                    self.request.question,
                    text,
                    passages,
                )
            return _judged(verdict)

        verdict = await self.stepper.run("guard_output", self.spec.steps.guard_output, work)
        if verdict.decision is Decision.BLOCK:
            raise BlockedError("guard_output", verdict)
        return verdict


def _left_out(found: Found) -> str:
    return f"retrieve: {found.reason}" if found.degraded else ""


def _reasons(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)


def _judged(verdict: Verdict) -> Done[Verdict]:
    return Done(verdict, str(verdict.decision), verdict.reason, verdict_detail(verdict))


def _generation_detail(finish: Finish) -> dict[str, object]:
    """What the journal keeps of an answer's end."""
    return {
        "model": finish.model,
        "finish_reason": finish.reason,
        "prompt_tokens": finish.usage.prompt_tokens,
        "completion_tokens": finish.usage.completion_tokens,
        "unanswerable": finish.unanswerable,
    }
