"""Calls that go on by themselves: who has which going, in whose turn, and how they ended."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial

from sluice_operator.agents import troubles
from sluice_operator.agents.protocol import Call, Ended, Load, Resolve, Running
from sluice_operator.agents.throttle import Throttle
from sluice_operator.agents.views import Resolved, Trouble
from sluice_servicekit.errors import Internal

_LOG = logging.getLogger(__name__)

#: Between two wakes of an asker that has more going; the more calls there are in all, the longer, up to the most: a
#: thousand adapters that come together are otherwise looked at for each few of their fifty pods.
_WAKE_SECONDS, _OF_EACH_CALL, _MOST_SECONDS = 0.25, 0.001, 5.0


class Failed(Exception):
    """A call failed."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


@dataclass(eq=False, slots=True)
class Ongoing:
    """A call that waits for its turn, or is being made."""

    asker: str
    call: Call
    running: Running
    task: "asyncio.Task[None] | None" = None
    """Nothing while it waits behind others of its pod."""


@dataclass(eq=False, slots=True)
class _Lane:
    """Calls of one kind to one pod: so many at a time, the first come first."""

    limit: int
    waiting: deque[Ongoing] = field(default_factory=deque)
    active: int = 0


#: Makes a call; raises `Failed`, and tells progress through `Ongoing.running`.
Make = Callable[[Ongoing], Awaitable[Resolved | None]]
#: What a call holds while it is made, beside its place in its pod's lane.
Turn = Callable[[Call], AbstractAsyncContextManager[object]]


class Calls:
    """All calls of all askers.

    Args:
        make: Makes one.
        turn: Bounds them over all pods.
        wake: Told of an asker when a call of its has ended.
        resolves: Of one pod at a time.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, make: Make, turn: Turn, wake: Callable[[str], None], resolves: int, clock: Callable[[], float]
    ) -> None:
        self._make = make
        self._turn = turn
        self._wake = wake
        self._wake_soon = Throttle(self._between, wake)
        self._resolves = resolves
        self._clock = clock
        self._lanes: dict[tuple[str, bool], _Lane] = {}
        self._of: dict[str, dict[object, Ongoing]] = defaultdict(dict)
        self._at: dict[str, set[Ongoing]] = defaultdict(set)
        self._ended: dict[str, list[Ended]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._going = 0

    def start(self, asker: str, call: Call) -> bool:
        """Queues a call; false where the asker has one for the same pod and purpose going."""
        purpose = _purpose(call)
        if purpose in self._of.get(asker, {}):
            return False
        phase = "Waiting" if isinstance(call, Resolve) else ""
        ongoing = self._of[asker][purpose] = Ongoing(asker, call, Running(call, self._clock(), phase))
        self._at[call.pod].add(ongoing)
        self._going += 1
        self._lane(call).waiting.append(ongoing)
        self._pump(call)
        return True

    def running(self, asker: str) -> Sequence[Running]:
        """What has been started and has not ended."""
        return [each.running for each in self._of.get(asker, {}).values()]

    def take_ended(self, asker: str) -> Sequence[Ended]:
        """What has ended since this was last asked."""
        return self._ended.pop(asker, [])

    def loading(self, pod: str) -> frozenset[str]:
        """The names that a pod's engine is to load, or loads."""
        there = self._at.get(pod, ())
        return frozenset(each.call.name for each in there if isinstance(each.call, Load))

    def forget(self, asker: str) -> None:
        """Ends what an asker has going, and tells nobody."""
        self._wake_soon.forget(asker)
        for each in list(self._of.get(asker, {}).values()):
            self._remove(each)
            if each.task:
                each.task.cancel()
        self._ended.pop(asker, None)

    def lose(self, pod: str) -> None:
        """A pod is gone: its calls end as that."""
        for each in list(self._at.get(pod, ())):
            self._end(each, self._clock(), trouble=troubles.pod_gone())
            if each.task:
                each.task.cancel()

    async def close(self) -> None:
        """Ends everything, and tells nobody."""
        self._wake_soon.close()
        self._of.clear()
        self._at.clear()
        self._lanes.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _between(self) -> float:
        return min(_MOST_SECONDS, _WAKE_SECONDS + _OF_EACH_CALL * self._going)

    def _lane(self, call: Call) -> _Lane:
        key = _place(call)
        if key not in self._lanes:
            self._lanes[key] = _Lane(self._resolves if isinstance(call, Resolve) else 1)
        return self._lanes[key]

    def _pump(self, call: Call) -> None:
        lane = self._lane(call)
        while lane.active < lane.limit and lane.waiting:
            ongoing = lane.waiting.popleft()
            if self._is_wanted(ongoing):
                lane.active += 1
                ongoing.task = task = asyncio.create_task(self._run(ongoing))
                self._tasks.add(task)
                # not in the task itself: one that is cancelled early enough never runs
                task.add_done_callback(partial(self._left, ongoing, lane))
        if not lane.active:
            del self._lanes[_place(call)]

    def _left(self, ongoing: Ongoing, lane: _Lane, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        lane.active -= 1
        if self._is_wanted(ongoing):  # gRPC cancels whoever waits on a channel that is closed
            self._end(ongoing, self._clock(), trouble=troubles.cut_off())
        if self._lanes.get(_place(ongoing.call)) is lane:
            self._pump(ongoing.call)

    async def _run(self, ongoing: Ongoing) -> None:
        began = self._clock()
        try:
            async with self._turn(ongoing.call):
                began = self._clock()
                resolved = await self._make(ongoing)
        except Failed as failed:
            self._end(ongoing, began, trouble=failed.trouble)
        except Exception as error:
            _LOG.exception("a call of an adapter agent failed")
            message = f"unexpected {type(error).__name__}; the operator's log has the details"
            self._end(ongoing, began, trouble=Trouble(Internal.default_reason, message))
        else:
            self._end(ongoing, began, resolved=resolved)

    def _end(
        self,
        ongoing: Ongoing,
        began: float,
        *,
        resolved: Resolved | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        if not self._is_wanted(ongoing):
            return
        self._remove(ongoing)
        now = self._clock()
        self._ended[ongoing.asker].append(
            Ended(ongoing.call, now, max(0.0, now - began), resolved=resolved, trouble=trouble)
        )
        if ongoing.asker in self._of:
            self._wake_soon(ongoing.asker)
        else:
            self._wake(ongoing.asker)

    def _remove(self, ongoing: Ongoing) -> None:
        self._going -= 1
        asker, pod = ongoing.asker, ongoing.call.pod
        del self._of[asker][_purpose(ongoing.call)]
        if not self._of[asker]:
            del self._of[asker]
        self._at[pod].discard(ongoing)
        if not self._at[pod]:
            del self._at[pod]

    def _is_wanted(self, ongoing: Ongoing) -> bool:
        return ongoing in self._at.get(ongoing.call.pod, ())


def _place(call: Call) -> tuple[str, bool]:
    return call.pod, isinstance(call, Resolve)


def _purpose(call: Call) -> object:
    if isinstance(call, Resolve):
        return call.pod, Resolve, call.source
    return call.pod, type(call), call.name
