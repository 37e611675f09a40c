"""The outputs of a durable run's steps: content in the store of payloads, references in the engine."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.run import StepState
from sluice_gateway.domain.stepping import StepFailedError
from sluice_gateway.durable import codec
from sluice_gateway.durable.codec import CodecError
from sluice_gateway.durable.port import Checkpoint, Reference
from sluice_gateway.payloads.port import PayloadStore
from sluice_servicekit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Between a step's name and what tells the payloads of its executions apart.
SEPARATOR = "~"

#: Seconds between attempts to keep or read a payload.
_WAITS = (0.1, 0.5, 2.0)

_KINDS: dict[str, type[ServiceError]] = {
    kind.__name__: kind for kind in (Unavailable, DeadlineExceeded, ResourceExhausted)
}


@dataclass(frozen=True, slots=True)
class KeptOutputs:
    """`Outputs` of one execution of a durable run.

    A step whose process dies after its effect and before its record runs again. Every execution keeps its output under
    a name of its own, and the one that the engine has recorded counts: an execution that goes on unaware that it
    was replaced cannot change what the run gives.
    """

    checkpoint: Checkpoint
    payloads: PayloadStore
    recorder: Recorder
    mode: Payloads
    retention: float
    """Seconds."""
    seed: Mapping[str, str]

    async def once(self, step: str, work: Callable[[], Awaitable[T]]) -> T:
        """The step's output.

        Raises:
            StepFailedError: it failed, now or when it ran before, or its output cannot be read any more.
        """
        fresh: list[T | StepFailedError] = []

        async def done() -> Reference:
            await self._journalled()  # that the run goes on, if it does
            reference = await output_of()
            await self._journalled()
            return reference

        async def output_of() -> Reference:
            if (name := self.seed.get(step)) and await self._is_readable(name):
                self.recorder.step_started(step, 1)
                self.recorder.step_ended(step, 1, StepState.SKIPPED, reason="TAKEN_OVER")
                return {"payload": name}
            try:
                output = await work()
                reference = {"payload": await self._keep(step, output)}
            except StepFailedError as failed:
                fresh.append(failed)
                return {"failed": _kind(failed.error), "reason": failed.error.reason}
            fresh.append(output)
            return reference

        # Nothing may be awaited before this: the engine numbers steps in the order of these calls.
        reference = await self.checkpoint.once(step, done)
        if fresh:
            if isinstance(fresh[0], StepFailedError):
                raise fresh[0]
            return fresh[0]
        if "failed" in reference:
            raise StepFailedError(step, _error(step, reference))
        kept: T = await self._read(step, reference["payload"])
        return kept

    async def _journalled(self) -> None:
        """Whenever the process dies, the journal has what the engine takes for done. A journal that is away holds
        nothing up: its events wait, and the run's end waits for them."""
        try:
            await self.recorder.commit()
        except ServiceError as error:
            _LOG.warning("the journal is behind: %s", error.message)

    async def _keep(self, step: str, output: object) -> str:
        name = f"{step}{SEPARATOR}{secrets.token_hex(4)}"
        content = codec.encode(output)
        run = self.recorder
        try:
            await _retried(
                lambda: self.payloads.keep(
                    run.tenant, run.run_id, name, content, self.mode, retention=self.retention
                )
            )
        except ServiceError as error:
            raise StepFailedError(step, error) from error
        return name

    async def _read(self, step: str, name: str) -> Any:
        run = self.recorder
        try:
            content = await _retried(lambda: self.payloads.read(run.tenant, run.run_id, name))
            return codec.decode(content)
        except ServiceError as error:
            raise StepFailedError(step, error) from error
        except CodecError as error:
            unreadable = FailedPrecondition(
                f"this version cannot read what {step} gave", reason="PAYLOAD_UNREADABLE"
            )
            raise StepFailedError(step, unreadable) from error

    async def _is_readable(self, name: str) -> bool:
        """A step whose output another version wrote and this one cannot read runs again."""
        run = self.recorder
        try:
            codec.decode(await _retried(lambda: self.payloads.read(run.tenant, run.run_id, name)))
        except (ServiceError, CodecError) as error:
            _LOG.warning("%s runs again: what it gave cannot be read (%s)", name, type(error).__name__)
            return False
        return True


async def _retried(work: Callable[[], Awaitable[T]]) -> T:
    for wait in _WAITS:
        try:
            return await work()
        except Unavailable:
            await asyncio.sleep(wait)
    return await work()


def _kind(error: ServiceError) -> str:
    return next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "FailedPrecondition")


def _error(step: str, reference: Reference) -> ServiceError:
    kind = _KINDS.get(reference["failed"], FailedPrecondition)
    return kind(f"{step} has failed before", reason=reference["reason"])
