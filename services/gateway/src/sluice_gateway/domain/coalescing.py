"""Identical requests that are in flight together share one run.

The run is read by a task of its own and by nobody's pace; each of those that share it gets every piece from the start.
It ends when all of them have gone.
"""

import asyncio
import contextvars
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Protocol

from sluice_gateway.domain.experimenting.assigning import Assignment
from sluice_gateway.domain.outcome import CacheDecision, CacheUse, RunFailedError, RunResult
from sluice_gateway.domain.pieces import Delta
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.run import RunState, StepState
from sluice_servicekit import deadlines
from sluice_servicekit.errors import Internal, ResourceExhausted, ServiceError

_LOG = logging.getLogger(__name__)

#: The step of a run that another one has answered.
COALESCE = "coalesce"

#: Characters of pieces that are held for those that read slowly. An answer has far fewer.
MOST_HELD = 1 << 20

Event = str | Delta | RunResult


class Running(Protocol):
    """A run, its own or one that another shares."""

    @property
    def run_id(self) -> str: ...
    @property
    def cache(self) -> CacheUse | None: ...
    @property
    def assignment(self) -> Assignment | None: ...
    def events(self) -> AsyncGenerator[Event, None]: ...
    async def result(self) -> RunResult: ...


class Shared:
    """A run and those that read it."""

    def __init__(self, run: Running, ended: Callable[[], None], most_held: int = MOST_HELD) -> None:
        """`ended`: called once no more may join."""
        self.run = run
        self._ended = ended
        self._most_held = most_held
        self._events: list[Event] = []
        self._dropped = 0
        self._held = 0
        self._failure: BaseException | None = None
        self._done = False
        self._more = asyncio.Event()
        self._readers = 0
        self._reading: asyncio.Task[None] | None = None

    def join(self) -> None:
        """One more reads; each that joins must read or leave."""
        self._readers += 1

    async def read(self) -> AsyncGenerator[Event, None]:
        """All of the run's events; whoever has joined reads once.

        Raises:
            RunFailedError: the run has failed.
            ResourceExhausted: more than can be held came while this one did not read (`READS_TOO_SLOWLY`).
        """
        if self._reading is None:
            # With no deadline but the run's own: whoever came first must not end it for the others.
            own = contextvars.copy_context()
            own.run(deadlines.start, None)
            self._reading = asyncio.create_task(self._read(), context=own)
        try:
            position = 0
            while True:
                while position < self._dropped + len(self._events):
                    if position < self._dropped:
                        raise ResourceExhausted(
                            "the answer came faster than it was read", reason="READS_TOO_SLOWLY"
                        )
                    event = self._events[position - self._dropped]
                    position += 1
                    yield event
                if self._failure is not None:
                    raise self._failure.with_traceback(None)
                if self._done:
                    return
                await self._more.wait()
        finally:
            await self.leave()

    async def leave(self) -> None:
        """One reads no more. With the last one the run is cancelled, and has ended when this returns."""
        self._readers -= 1
        if self._readers == 0:
            self._ended()
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            async with aclosing(self.run.events()) as events:
                async for event in events:
                    self._take(event)
        except (RunFailedError, asyncio.CancelledError) as failure:
            self._failure = failure
        except Exception:  # a run says so itself; whatever it is, nobody may wait for ever
            _LOG.exception("a shared run ended unexpectedly")
            unexpected = Internal("the run failed unexpectedly; the gateway's log has the details")
            self._failure = RunFailedError(self.run.run_id, "run", unexpected)
        finally:
            self._done = True
            self._ended()
            self._tell()

    def _take(self, event: Event) -> None:
        self._events.append(event)
        self._held += _weight(event)
        while self._held > self._most_held and not isinstance(first := self._events[0], RunResult):
            del self._events[0]
            self._dropped += 1
            self._held -= _weight(first)
            self._ended()  # who comes now would not get the start
        self._tell()

    def _tell(self) -> None:
        self._more.set()
        self._more = asyncio.Event()


class Leader:
    """The first of those that share a run: the run is its own."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.run_id = shared.run.run_id
        self.assignment = shared.run.assignment

    @property
    def cache(self) -> CacheUse | None:
        """What the cache had to do with it."""
        return self._shared.run.cache

    def events(self) -> AsyncGenerator[Event, None]:
        """The run's events; see `Run.events`."""
        return self._shared.read()

    async def result(self) -> RunResult:
        """The run's result; see `Run.result`."""
        return await _last(self.events())


class Follower:
    """One that came later: a short run of its own in the journal, which names the one that answers it."""

    def __init__(
        self,
        shared: Shared,
        recorder: Recorder,
        question: str,
        version: str,
        tell: Callable[[RunState, str], None],
    ) -> None:
        """`tell`: tells observers how it ended."""
        self._shared = shared
        self._recorder = recorder
        self._question = question
        self._version = version
        self._tell = tell
        self._ended = False
        self.run_id = recorder.run_id
        self.assignment = shared.run.assignment
        self.cache: CacheUse | None = CacheUse(CacheDecision.COALESCED, run_id=shared.run.run_id)

    async def events(self) -> AsyncGenerator[Event, None]:
        """The other run's events as this one's.

        Raises:
            RunFailedError: it has failed, and so has this one.
        """
        try:
            self._recorder.run_started(self._question, {"pipeline_version": self._version})
            self._recorder.step_started(COALESCE, 1)
            async with aclosing(self._shared.read()) as events:
                async for event in events:
                    if isinstance(event, RunResult):
                        await self._end(event.state, "", event.text)
                        yield replace(event, run_id=self.run_id, cache=self.cache)
                    else:
                        yield event
        except RunFailedError as failed:
            await self._end(RunState.FAILED, f"{failed.step}: {failed.error.reason}")
            raise RunFailedError(self.run_id, failed.step, failed.error) from failed
        except ServiceError as error:  # the journal, or it has read too slowly
            with suppress(ServiceError):
                await self._end(RunState.FAILED, f"{COALESCE}: {error.reason}")
            raise RunFailedError(self.run_id, COALESCE, error) from error
        except (asyncio.CancelledError, GeneratorExit):
            if not self._ended:
                with suppress(ServiceError):
                    self._record(RunState.CANCELLED, "the caller went away", "")
            raise

    async def result(self) -> RunResult:
        """The result; raises as `events` does."""
        return await _last(self.events())

    async def _end(self, state: RunState, reason: str, text: str = "") -> None:
        self._record(state, reason, text)
        await self._recorder.commit()

    def _record(self, state: RunState, reason: str, text: str) -> None:
        if self._ended:
            return
        self._ended = True
        step = {
            RunState.FAILED: StepState.FAILED,
            RunState.CANCELLED: StepState.CANCELLED,
        }.get(state, StepState.SUCCEEDED)
        detail = {"coalesced_with": self._shared.run.run_id}
        self._tell(state, reason)
        self._recorder.step_ended(
            COALESCE, 1, step, decision=CacheDecision.COALESCED, reason=reason, detail=detail
        )
        self._recorder.run_ended(state, reason, text)


class Coalescer:
    """The runs in flight that others may share."""

    def __init__(self) -> None:
        self._in_flight: dict[bytes, Shared] = {}

    def join(
        self, key: bytes, start: Callable[[], Running], follow: Callable[[Shared], Follower]
    ) -> Leader | Follower:
        """Shares the run of the same key; starts one where there is none. What it gives must be read.

        Args:
            start: Gives a run, or raises where it may not start.
            follow: Gives a run that is answered by another one.
        """
        shared = self._in_flight.get(key)
        if shared is not None:
            follower = follow(shared)
            shared.join()
            return follower

        def ended() -> None:
            if self._in_flight.get(key) is mine:
                del self._in_flight[key]

        mine = Shared(start(), ended)
        mine.join()
        self._in_flight[key] = mine
        return Leader(mine)


def _weight(event: Event) -> int:
    """Characters, about."""
    if isinstance(event, str):
        return len(event)
    if isinstance(event, Delta):
        return len(event.text) + sum(len(call.arguments) for call in event.tool_calls) + len(event.logprobs)
    return 0


async def _last(events: AsyncGenerator[Event, None]) -> RunResult:
    async with aclosing(events) as read:
        results = [event async for event in read if isinstance(event, RunResult)]
    return results[-1]
