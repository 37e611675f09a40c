"""`sluice.gateway.v1`: the same runs over gRPC. Converts only."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from copy import copy
from typing import Any

from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sluice.guardrail.v1 import guardrail_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_gateway import conversion, experiment_conversion, grpc_messages, grpc_once
from sluice_gateway.domain.access import Access
from sluice_gateway.domain.admission.priority import HEADER as PRIORITY_HEADER
from sluice_gateway.domain.caching.answering import CacheControl
from sluice_gateway.domain.coalescing import Running
from sluice_gateway.domain.model import Principal
from sluice_gateway.domain.outcome import ADMIT, RunFailedError, RunResult
from sluice_gateway.experiments.reporting import Experiments
from sluice_gateway.gateway import Gateway
from sluice_gateway.idempotency.idempotency import Idempotency
from sluice_gateway.run_control import RunControl
from sluice_servicekit import context as log_context
from sluice_servicekit.errors import InvalidArgument, ServiceError

#: Runs on a page unless asked for another number, and at most.
_PAGE = 50
_MAX_PAGE = 1000

#: Seconds that a call may wait for a run's end.
_MAX_WAIT = 300


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """The gateway over gRPC."""

    def __init__(
        self,
        gateway: Gateway,
        access: Callable[[], Access],
        experiments: Experiments,
        control: RunControl,
        idempotency: Idempotency | None = None,
    ) -> None:
        """Without `idempotency` no notice is taken of `request_id`."""
        self._gateway = gateway
        self._access = access
        self._experiments = experiments
        self._control = control
        self._idempotency = idempotency

    async def Answer(self, request: gateway_pb2.AnswerRequest, context: Any) -> gateway_pb2.AnswerResponse:
        """Answers a question."""
        principal = self._principal(context)

        async def answer() -> AsyncGenerator[gateway_pb2.AnswerResponse, None]:
            try:
                run = await self._run(principal, request, context, stream=False)
                yield grpc_messages.answer(await run.result())
            except RunFailedError as failed:
                promoted = await self._control.promote(failed, principal.tenant)
                raise _named(failed, "" if promoted is None else promoted.run_id) from failed

        asked = grpc_once.named(principal, request, "Answer")
        payloads = self._gateway.payloads(request.model)
        retention = self._gateway.payload_retention(request.model)
        answers = grpc_once.once(
            self._idempotency, asked, payloads, retention, context, gateway_pb2.AnswerResponse, answer
        )
        async with aclosing(answers):
            return await anext(answers)

    async def AnswerStream(
        self, request: gateway_pb2.AnswerStreamRequest, context: Any
    ) -> AsyncIterator[gateway_pb2.AnswerStreamResponse]:
        """Answers a question piece by piece."""
        principal = self._principal(context)

        async def answer() -> AsyncGenerator[gateway_pb2.AnswerStreamResponse, None]:
            try:
                run = await self._run(principal, request.request, context, stream=True)
                async with aclosing(run.events()) as events:
                    async for event in events:
                        if isinstance(event, RunResult):
                            yield gateway_pb2.AnswerStreamResponse(answer=grpc_messages.answer(event))
                        elif isinstance(event, str):  # nothing else is asked for over gRPC
                            yield gateway_pb2.AnswerStreamResponse(delta=event)
            except RunFailedError as failed:
                raise _named(failed) from failed

        asked = grpc_once.named(principal, request.request, "AnswerStream")
        payloads = self._gateway.payloads(request.request.model)
        retention = self._gateway.payload_retention(request.request.model)
        answers = grpc_once.once(
            self._idempotency, asked, payloads, retention, context, gateway_pb2.AnswerStreamResponse, answer
        )
        async with aclosing(answers):
            async for response in answers:
                yield response

    async def Search(self, request: gateway_pb2.SearchRequest, context: Any) -> gateway_pb2.SearchResponse:
        """Finds passages."""
        found = await self._gateway.search(
            self._principal(context), grpc_messages.search(request), rerank=request.rerank
        )
        return gateway_pb2.SearchResponse(
            passages=found.passages,
            timings_ms=found.timings_ms,
            degraded=found.degraded,
            explanations=found.explanations,
        )

    async def Guard(self, request: gateway_pb2.GuardRequest, context: Any) -> gateway_pb2.GuardResponse:
        """Screens one text."""
        asked = guardrail_pb2.GuardRequest(
            policy=request.policy,
            channel=request.channel,
            text=request.text,
            context=request.context,
            question=request.question,
        )
        found = await self._gateway.guard(self._principal(context), asked)
        return gateway_pb2.GuardResponse(verdict=found.verdict, treated=found.treated)

    async def Ingest(
        self, request_iterator: AsyncIterator[gateway_pb2.IngestRequest], context: Any
    ) -> AsyncIterator[gateway_pb2.IngestResponse]:
        """Stores documents, all into the knowledge base that the first names."""
        principal = self._principal(context)
        first = await anext(request_iterator, None)
        if first is None:
            return

        async def documents() -> AsyncIterator[retriever_pb2.Document]:
            yield first.document
            async for request in request_iterator:
                if request.knowledge_base != first.knowledge_base:
                    raise InvalidArgument("one stream fills one knowledge base", field="knowledge_base")
                yield request.document

        results = self._gateway.ingest(principal, first.knowledge_base, documents(), progress=first.progress)
        async for result in results:
            yield result

    async def DeleteDocuments(
        self, request: gateway_pb2.DeleteDocumentsRequest, context: Any
    ) -> gateway_pb2.DeleteDocumentsResponse:
        """Removes documents."""
        principal = self._principal(context)
        deleted = await self._gateway.delete(principal, request.knowledge_base, request.document_ids)
        return gateway_pb2.DeleteDocumentsResponse(deleted=deleted)

    async def ListDocuments(
        self, request: gateway_pb2.ListDocumentsRequest, context: Any
    ) -> gateway_pb2.ListDocumentsResponse:
        """Lists documents."""
        found = await self._gateway.list_documents(
            self._principal(context),
            request.knowledge_base,
            request.prefix,
            request.page_token,
            request.page_size,
        )
        return gateway_pb2.ListDocumentsResponse(
            documents=found.documents, next_page_token=found.next_page_token
        )

    async def GetRun(self, request: gateway_pb2.GetRunRequest, context: Any) -> gateway_pb2.GetRunResponse:
        """Reads a run."""
        return gateway_pb2.GetRunResponse(**await self._viewed(self._principal(context), request.run_id))

    async def ListRuns(
        self, request: gateway_pb2.ListRunsRequest, context: Any
    ) -> gateway_pb2.ListRunsResponse:
        """Lists runs."""
        limit = min(request.page_size or _PAGE, _MAX_PAGE)
        records = await self._gateway.runs(self._principal(context), limit, request.page_token or None)
        following = records[-1].run_id if len(records) == limit else ""
        return gateway_pb2.ListRunsResponse(
            runs=[grpc_messages.run(record) for record in records], next_page_token=following
        )

    async def SubmitFeedback(
        self, request: gateway_pb2.SubmitFeedbackRequest, context: Any
    ) -> gateway_pb2.SubmitFeedbackResponse:
        """Takes feedback."""
        principal = self._principal(context)
        opinion = experiment_conversion.opinion(request)
        record = await self._gateway.run(principal, request.run_id)
        taken = await self._experiments.feedback.give(principal, record, opinion)
        return gateway_pb2.SubmitFeedbackResponse(
            experiment=taken.experiment, arm=taken.arm, comment_kept=taken.comment_kept
        )

    async def GetExperiment(
        self, request: gateway_pb2.GetExperimentRequest, context: Any
    ) -> gateway_pb2.GetExperimentResponse:
        """Reads an experiment."""
        found = self._experiments.one(self._principal(context), request.name)
        return experiment_conversion.experiment(request.name, found)

    async def GetOutcomes(
        self, request: gateway_pb2.GetOutcomesRequest, context: Any
    ) -> gateway_pb2.GetOutcomesResponse:
        """Reads what an experiment has shown."""
        since = max(0.0, float(request.since.ToSeconds())) if request.HasField("since") else 0.0
        report = await self._experiments.report(self._principal(context), request.name, since)
        return experiment_conversion.outcomes(report)

    async def StartRun(
        self, request: gateway_pb2.StartRunRequest, context: Any
    ) -> gateway_pb2.StartRunResponse:
        """Starts a run in the background."""
        who, asked = self._principal(context), request.request
        _check_wait(request.wait_seconds)
        try:
            started = await self._control.start(
                who, asked.model, lambda: grpc_messages.run_request(asked, who, stream=False)
            )
        except RunFailedError as failed:
            raise _named(failed) from failed
        return gateway_pb2.StartRunResponse(**await self._waited(who, started.run_id, request.wait_seconds))

    async def CancelRun(
        self, request: gateway_pb2.CancelRunRequest, context: Any
    ) -> gateway_pb2.CancelRunResponse:
        """Ends a run."""
        who = self._principal(context)
        await self._control.cancel(who, request.run_id)
        return gateway_pb2.CancelRunResponse(
            run=grpc_messages.run(await self._control.record(who, request.run_id))
        )

    async def ResumeRun(
        self, request: gateway_pb2.ResumeRunRequest, context: Any
    ) -> gateway_pb2.ResumeRunResponse:
        """Has a run go on."""
        who = self._principal(context)
        _check_wait(request.wait_seconds)
        await self._control.resume(who, request.run_id)
        return gateway_pb2.ResumeRunResponse(**await self._waited(who, request.run_id, request.wait_seconds))

    async def ForkRun(self, request: gateway_pb2.ForkRunRequest, context: Any) -> gateway_pb2.ForkRunResponse:
        """Makes another run of one."""
        who = self._principal(context)
        _check_wait(request.wait_seconds)
        made = await self._control.fork(who, request.run_id, request.from_step)
        return gateway_pb2.ForkRunResponse(**await self._waited(who, made.run_id, request.wait_seconds))

    async def OverrideGate(
        self, request: gateway_pb2.OverrideGateRequest, context: Any
    ) -> gateway_pb2.OverrideGateResponse:
        """Turns a gate's decision."""
        who = self._principal(context)
        _check_wait(request.wait_seconds)
        decision = conversion.decision(request.decision)
        made = await self._control.override(who, request.run_id, request.gate, decision, request.reason)
        return gateway_pb2.OverrideGateResponse(**await self._waited(who, made.run_id, request.wait_seconds))

    async def _waited(self, who: Principal, run_id: str, seconds: int) -> dict[str, Any]:
        if seconds:
            await self._control.wait(who, run_id, seconds)
        return await self._viewed(who, run_id)

    async def _viewed(self, who: Principal, run_id: str) -> dict[str, Any]:
        view = await self._control.view(who, run_id)
        return {
            "run": grpc_messages.run(view.record),
            "answer": None if view.result is None else grpc_messages.answer(view.result),
        }

    def _principal(self, context: Any) -> Principal:
        metadata = _metadata(context)
        who = self._access().principal(
            metadata.get("authorization"), metadata.get("x-sluice-tenant"), metadata.get(PRIORITY_HEADER)
        )
        log_context.key.set(who.key)
        return who

    async def _run(
        self, principal: Principal, request: gateway_pb2.AnswerRequest, context: Any, *, stream: bool
    ) -> Running:
        control = CacheControl.read(_metadata(context).get("cache-control"))
        return await self._gateway.admit(
            principal,
            request.model,
            lambda: grpc_messages.run_request(request, principal, stream=stream),
            control,
        )


def _metadata(context: Any) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def _check_wait(seconds: int) -> None:
    if seconds > _MAX_WAIT:
        raise InvalidArgument(f"wait_seconds may be {_MAX_WAIT} at most", field="wait_seconds")


def _named(failed: RunFailedError, promoted: str = "") -> ServiceError:
    """The error with the run and the step that failed, for programs and for people.

    Args:
        promoted: The run that goes on in its place.
    """
    error = copy(failed.error)
    error.metadata = {**error.metadata, "run_id": failed.run_id, "step": failed.step}
    if failed.step != ADMIT:
        error.message = f"{failed.step}: {error.message}"
    if promoted:
        error.metadata = {**error.metadata, "promoted_run_id": promoted}
        error.message += f"; the run goes on in the background as {promoted}"
    return error
