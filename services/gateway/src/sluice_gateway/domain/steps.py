"""The five steps of a run, each with what it calls and what the journal is told."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sluice_api.objects.pipeline import OnFail, PipelineSpec
from sluice_gateway.domain.model import Decision, Finish, Passage, RunRequest, Vectors, Verdict
from sluice_gateway.domain.outcome import BlockedError
from sluice_gateway.domain.ports import Prompt, Services
from sluice_gateway.domain.recording import passages_detail, verdict_detail
from sluice_gateway.domain.run import StepState
from sluice_gateway.domain.stepping import Done, StepFailedError, Stepper
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import tracing


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one run."""

    stepper: Stepper
    services: Services
    spec: PipelineSpec
    request: RunRequest
    query: str
    """What passages are looked for with."""

    async def screen_and_retrieve(self) -> tuple[Verdict, Vectors, Sequence[Passage]]:
        """Both at once; what was retrieved is dropped when the gate blocks.

        Raises:
            BlockedError: the input gate says no.
        """
        retrieving = asyncio.create_task(self._retrieve())
        try:
            verdict = await self._guard_input()
            if verdict.decision is Decision.BLOCK:
                self.stepper.on_cancel = (StepState.SKIPPED, "BLOCKED")
                raise BlockedError("guard_input", verdict)
            return verdict, *await retrieving
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

    async def _retrieve(self) -> tuple[Vectors, Sequence[Passage]]:
        step = self.spec.steps.retrieve
        retriever = self.services.retriever

        async def work() -> Done[tuple[Vectors, Sequence[Passage]]]:
            vectors = await retriever.embed(self.query)
            passages = await retriever.search(
                self.request.principal,
                self.spec.knowledge_base_ref,
                self.query,
                vectors,
                step.top_k,
                step.leg_limit,
                self.request.filter,
            )
            return Done((vectors, passages), detail=passages_detail(passages))

        return await self.stepper.run("retrieve", step, work)

    async def rerank(self, vectors: Vectors, candidates: Sequence[Passage]) -> tuple[Sequence[Passage], str]:
        """The best passages, and why the run is degraded where they are only the retriever's."""
        step = self.spec.steps.rerank

        async def work() -> Done[Sequence[Passage]]:
            ranked = await self.services.reranker.rerank(
                self.request.principal, self.query, vectors, candidates, step.top_k
            )
            detail = {**passages_detail(ranked.passages), "scored": ranked.scored, "model": ranked.model}
            return Done(ranked.passages, detail=detail)

        try:
            return await self.stepper.run("rerank", step, work), ""
        except StepFailedError as failed:
            if step.on_fail is not OnFail.DEGRADE:
                raise
            return candidates[: step.top_k], f"{failed.step}: {failed.error.reason}"

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
