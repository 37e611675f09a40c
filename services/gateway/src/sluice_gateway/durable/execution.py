"""The body of a durable run: the same `Run` as Express has, by a kept plan and with kept outputs."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from sluice_api.objects.pipeline import Audit
from sluice_gateway.domain.clock import Clock
from sluice_gateway.domain.observing import RunObserver
from sluice_gateway.domain.outcome import RunFailedError
from sluice_gateway.domain.planning import Execution
from sluice_gateway.domain.ports import Services
from sluice_gateway.domain.run import STANDARD, RunState, fold
from sluice_gateway.domain.running import Run
from sluice_gateway.durable import codec, plan_codec
from sluice_gateway.durable.codec import CodecError
from sluice_gateway.durable.outputs import KeptOutputs
from sluice_gateway.durable.plan_codec import KeptPlan
from sluice_gateway.durable.port import Checkpoint
from sluice_gateway.durable.recording import StandardRecorder
from sluice_gateway.journal.port import Journal
from sluice_gateway.payloads.port import REQUEST, PayloadNotRetained, PayloadStore
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

#: The name of what the run gave.
RESULT = "result"

#: How often a run may be taken up again. One that kills every process it runs in must not go round for ever.
MAX_RESUMED = 20


class UnfinishedError(Exception):
    """The execution could not go on and the run has not ended: it is to be executed again."""


class StandardBody:
    """Executes durable runs; see `port.Body`.

    Args:
        ready: Returns once the services can be called: a run that is taken up as the gateway starts must not fail
            because they start too.
    """

    def __init__(
        self,
        services: Services,
        journal: Journal,
        clock: Clock,
        payloads: PayloadStore,
        ready: Callable[[], Awaitable[None]],
        observers: Sequence[RunObserver] = (),
    ) -> None:
        self._services = services
        self._journal = journal
        self._clock = clock
        self._payloads = payloads
        self._ready = ready
        self._observers = observers
        self._going: dict[str, Run] = {}

    async def __call__(self, tenant: str, run_id: str, checkpoint: Checkpoint) -> None:
        """Executes a run to its end.

        Raises:
            UnfinishedError: journal or payloads cannot be written now.
        """
        await self._ready()
        recorder = StandardRecorder(
            self._journal,
            self._clock,
            run_id,
            tenant,
            "",
            Audit.REQUIRED,
            before=await self._journal.events(run_id),
        )
        try:
            kept = plan_codec.decode(await self._payloads.read(tenant, run_id, REQUEST))
        except (PayloadNotRetained, CodecError) as error:
            reason = "PLAN_UNREADABLE" if isinstance(error, CodecError) else error.reason
            await _end(recorder, f"run: {reason}")
            return
        except ServiceError as error:
            raise UnfinishedError from error
        # Its audit stays required, whatever the pipeline says: an end that is lost would leave the run open for ever.
        recorder = replace(recorder, pipeline=kept.plan.request.pipeline)
        if recorder.before and fold(recorder.before).resumed >= MAX_RESUMED:
            await _end(recorder, "run: RESUMED_TOO_OFTEN")
            return
        await self._execute(kept, recorder, checkpoint)

    def abandon(self, run_id: str) -> None:
        """Says no more of a run that is about to be stopped here."""
        if run := self._going.get(run_id):
            run.abandon()

    async def _execute(self, kept: KeptPlan, recorder: StandardRecorder, checkpoint: Checkpoint) -> None:
        plan, spec = kept.plan, kept.plan.pipeline.spec
        outputs = KeptOutputs(
            checkpoint, self._payloads, recorder, spec.payloads, spec.payload_retention, kept.seed
        )
        run = Run(
            nullcontext(),
            self._services,
            recorder,
            plan,
            self._observers,
            execution=Execution(outputs, kept.pins, _start_detail(kept)),
        )
        self._going[recorder.run_id] = run
        try:
            result = await run.result()
        except RunFailedError as failed:
            if failed.step == "journal":
                raise UnfinishedError from failed
            return
        finally:
            self._going.pop(recorder.run_id, None)
        try:
            await self._payloads.keep(
                recorder.tenant,
                recorder.run_id,
                RESULT,
                codec.encode(result),
                spec.payloads,
                retention=spec.payload_retention,
            )
        except ServiceError as error:
            raise UnfinishedError from error


async def _end(recorder: StandardRecorder, reason: str) -> None:
    """Ends a run that cannot be executed."""
    try:
        recorder.run_started("", {"executor": STANDARD})
        recorder.run_ended(RunState.FAILED, reason)
        await recorder.commit()
    except ServiceError as error:
        raise UnfinishedError from error


def _start_detail(kept: KeptPlan) -> dict[str, object]:
    detail: dict[str, object] = {"executor": STANDARD}
    if origin := kept.origin:
        detail |= {f"{origin.how}_from": origin.run_id, "from_step": origin.from_step}
    if kept.pins:
        detail["pins"] = {gate: str(decision) for gate, decision in kept.pins.items()}
    return detail
