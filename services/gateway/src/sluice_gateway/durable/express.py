"""What is kept of Express runs, so that they can be overridden, forked and promoted: written behind the answer."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.outputs import Outputs, Passing
from sluice_gateway.domain.planning import RunPlan
from sluice_gateway.domain.run import RunState
from sluice_gateway.durable import codec, plan_codec
from sluice_gateway.durable.codec import CodecError
from sluice_gateway.durable.plan_codec import KeptPlan
from sluice_gateway.payloads.port import REQUEST, Payload, PayloadStore
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Ends after which something may be turned, or may go on.
_KEPT = frozenset({RunState.BLOCKED, RunState.FAILED})

#: Runs that may wait to be written; more are not kept, and said so.
_CAPACITY = 1000

#: Seconds that somebody waits for a run to be written.
_PATIENCE = 5.0


@dataclass(slots=True)
class _Noted:
    """`Outputs` that notes what steps have given, by reference: nothing is encoded while somebody waits."""

    run_id: str
    plan: RunPlan
    open: dict[str, "_Noted"]
    given: dict[str, object] = field(default_factory=dict)
    written: asyncio.Event = field(default_factory=asyncio.Event)

    async def once(self, step: str, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives."""
        self.open[self.run_id] = self  # not before: a run that never starts never ends either
        output = await work()
        self.given[step] = output
        return output


class ExpressKeeping:
    """Notes the outputs of Express runs and writes those of runs that were blocked or failed; of all, where the
    pipeline keeps payloads in full. A `RunObserver`."""

    def __init__(self, payloads: PayloadStore) -> None:
        self._payloads = payloads
        self._open: dict[str, _Noted] = {}
        self._waiting: dict[str, _Noted] = {}
        self._queue: asyncio.Queue[_Noted] = asyncio.Queue(_CAPACITY)

    def outputs_of(self, run_id: str, plan: RunPlan) -> Outputs:
        """What takes note of a run's outputs."""
        if plan.pipeline.spec.payloads is Payloads.NONE:
            return Passing()
        return _Noted(run_id, plan, self._open)

    def run_ended(self, ended: EndedRun) -> None:
        """Has a run written, or forgets it."""
        noted = self._open.pop(ended.run_id, None)
        if noted is None:
            return
        if noted.plan.pipeline.spec.payloads is Payloads.FULL or ended.state in _KEPT:
            try:
                self._queue.put_nowait(noted)
            except asyncio.QueueFull:
                _LOG.warning("the run %s is not kept: too many wait to be written", ended.run_id)
            else:
                self._waiting[noted.run_id] = noted

    async def settled(self, run_id: str) -> None:
        """Returns once a run that is to be kept has been written."""
        if noted := self._waiting.get(run_id):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await noted.written.wait()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Writes for the length of the block, and at its end what is left."""
        task = asyncio.create_task(self._write_all())
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._queue.join()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _write_all(self) -> None:
        while True:
            noted = await self._queue.get()
            try:
                await self._write(noted)
            except (ServiceError, CodecError) as error:
                _LOG.warning("the run %s is not kept: %s", noted.run_id, type(error).__name__)
            except Exception:
                _LOG.exception("the run %s is not kept", noted.run_id)
            finally:
                self._waiting.pop(noted.run_id, None)
                noted.written.set()
                self._queue.task_done()

    async def _write(self, noted: _Noted) -> None:
        tenant, spec = noted.plan.request.principal.tenant, noted.plan.pipeline.spec
        contents = await asyncio.to_thread(_contents, noted)
        await self._payloads.keep_many(
            [
                Payload(tenant, noted.run_id, name, content, spec.payloads, spec.payload_retention)
                for name, content in contents.items()
            ]
        )


def _contents(noted: _Noted) -> dict[str, bytes]:
    given = {step: codec.encode(output) for step, output in noted.given.items()}
    return {**given, REQUEST: plan_codec.encode(KeptPlan(noted.plan))}
