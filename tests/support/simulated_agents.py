"""Pods with agents and engines in virtual time, and `Agents` over them as an operator holds it in memory.

What an agent has begun goes on when its operator dies; nobody hears how it ends then.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sluice_api.objects.lora_adapter import Source
from sluice_operator.agents.protocol import Call, Ended, Load, Resolve, Running, Unload
from sluice_operator.agents.views import AgentView, PodView, Resolved, Trouble, Version

POLL_SECONDS = 5.0

_UNREACHABLE = Trouble("AGENT_UNREACHABLE", "no answer")
_ENGINE_DOWN = Trouble("ENGINE_UNREACHABLE", "vLLM does not answer")


def version(seed: str) -> Version:
    """The files of a source."""
    return Version(f"sha256:{seed.encode().hex():0<64.64}", f"sha256:{seed.encode().hex():f<64.64}")


@dataclass
class Pod:
    """A replica, its agent and its engine."""

    uid: str
    name: str
    restarts: int = 0
    ready: bool = True
    leaving: bool = False
    reachable: bool = True
    engine_reachable: bool = True
    deaf: bool = False
    """Nobody asks it how it is; calls work."""
    loaded: dict[str, Version | None] = field(default_factory=dict)
    here: set[Version] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Work:
    """Something that a pod does until a moment."""

    call: Call
    until: float
    restarts: int
    trouble: Trouble | None
    reply: Callable[[Ended], None]
    begun: float
    is_heard: bool
    """Whether the reply comes back."""


class Pods:
    """The pods of one model server.

    Args:
        slots: Of each engine; more names are an error of whoever loads them.
        now: Seconds since the epoch.
    """

    def __init__(self, slots: int, now: Callable[[], float]) -> None:
        self.slots = slots
        self.now = now
        self.pods: dict[str, Pod] = {}
        self.trouble: Callable[[Call], Trouble | None] = lambda call: None
        self.seconds: Callable[[Call], float] = lambda call: 1.0
        self.deaf_calls = 0
        """So many replies are lost from now on."""
        self.before_unload: Callable[[Pod, str], None] = lambda pod, name: None
        self.changes = 0
        self._works: list[Work] = []
        self._numbers = itertools.count()

    def add(self, *, ready: bool = True) -> Pod:
        """One pod more."""
        number = next(self._numbers)
        pod = self.pods[f"p{number}"] = Pod(f"p{number}", f"vllm-{number}", ready=ready)
        return pod

    def remove(self, uid: str) -> None:
        """It is gone, and so is what it was doing."""
        del self.pods[uid]

    def restart(self, uid: str) -> None:
        """The engine comes back with nothing loaded."""
        pod = self.pods[uid]
        pod.restarts += 1
        pod.loaded.clear()

    def begin(self, call: Call, reply: Callable[[Ended], None]) -> None:
        """Has a pod's agent do something; `reply` is told once, in any case."""
        now, pod = self.now(), self.pods.get(call.pod)
        seconds, heard = self.seconds(call), self.deaf_calls <= 0
        self.deaf_calls = max(0, self.deaf_calls - 1)
        if pod is None or not pod.reachable:
            work = Work(call, now + 1.0, -1, _UNREACHABLE, reply, now, is_heard=True)
        else:
            work = Work(call, now + seconds, pod.restarts, self.trouble(call), reply, now, is_heard=heard)
        self._works.append(work)

    def advance(self) -> None:
        """What is due by now ends."""
        now = self.now()
        ended = sorted((work for work in self._works if work.until <= now), key=lambda work: work.until)
        self._works = [work for work in self._works if work.until > now]
        for work in ended:
            trouble, resolved = self._done(work)
            if not work.is_heard:
                trouble, resolved = _UNREACHABLE, None
            elif work.until - work.begun > work.call.seconds:
                trouble, resolved = Trouble("DEADLINE_EXCEEDED", "too slow"), None
            work.reply(Ended(work.call, work.until, work.until - work.begun, resolved, trouble))

    def next_end(self) -> float | None:
        """When the next work ends."""
        return min((work.until for work in self._works), default=None)

    def _done(self, work: Work) -> tuple[Trouble | None, Resolved | None]:
        call, pod = work.call, self.pods.get(work.call.pod)
        if work.trouble is not None or pod is None:
            return work.trouble or _UNREACHABLE, None
        if isinstance(call, Resolve):
            found = resolved(call.source)
            if call.digest not in ("", found.version.digest):
                return Trouble("DIGEST_MISMATCH", "other files", permanent=True), None
            self.changes += found.version not in pod.here
            pod.here.add(found.version)
            return None, found
        if pod.restarts != work.restarts or not pod.engine_reachable:
            return _ENGINE_DOWN, None
        return (self._unload(pod, call) if isinstance(call, Unload) else self._load(pod, call)), None

    def _unload(self, pod: Pod, call: Unload) -> None:
        if call.name in pod.loaded:
            self.before_unload(pod, call.name)
            del pod.loaded[call.name]
            self.changes += 1

    def _load(self, pod: Pod, call: Load) -> Trouble | None:
        if call.version not in pod.here:
            return Trouble("ADAPTER_MISSING", "resolve it first")
        if pod.loaded.get(call.name, call.version) != call.version:
            return Trouble("NAME_TAKEN", "vLLM has other files under it", permanent=True)
        self.changes += call.name not in pod.loaded
        pod.loaded[call.name] = call.version
        return None


class SimulatedAgents:
    """`Agents` over `Pods`, in the memory of one operator.

    Args:
        wake: Has an adapter reconciled.
        adapters: The uids of all adapters, who are woken when pods change.
    """

    def __init__(
        self, pods: Pods, wake: Callable[[str], None], adapters: Callable[[], Iterator[str]]
    ) -> None:
        self._pods = pods
        self._wake = wake
        self._adapters = adapters
        self._going: list[tuple[str, Running, bool]] = []
        self._ended: dict[str, list[Ended]] = {}
        self._views: dict[str, AgentView] = {}
        self._seen: object = None
        self._asked = float("-inf")
        self.dead = False

    def pods(self, namespace: str, model_server: str) -> Sequence[PodView]:
        return [
            PodView(
                pod.uid,
                pod.name,
                "10.0.0.1",
                pod.restarts,
                pod.ready,
                pod.leaving,
                agent=self._views.get(pod.uid),
            )
            for pod in sorted(self._pods.pods.values(), key=lambda pod: pod.name)
        ]

    def start(self, asker: str, call: Call) -> bool:
        if any(
            who == asker and running.call.pod == call.pod and type(running.call) is type(call)
            for who, running, _ in self._going
        ):
            return False
        self._going.append((asker, Running(call, self._pods.now()), False))
        self._ended.setdefault(asker, [])
        self._begin()
        return True

    def running(self, asker: str) -> Sequence[Running]:
        return [running for who, running, _ in self._going if who == asker]

    def take_ended(self, asker: str) -> Sequence[Ended]:
        return self._ended.pop(asker, [])

    def forget(self, asker: str) -> None:
        self._going = [each for each in self._going if each[0] != asker]
        self._ended.pop(asker, None)

    def engine_names_in_use(self, namespace: str, model_server: str) -> Mapping[str, frozenset[str]]:
        loading = {
            (running.call.pod, running.call.name)
            for _, running, _ in self._going
            if isinstance(running.call, Load)
        }
        return {
            view.uid: frozenset(view.agent.loaded if view.agent else ())
            | {name for uid, name in loading if uid == view.uid}
            for view in self.pods(namespace, model_server)
        }

    def look(self, *, at_all: bool = False) -> None:
        """Asks the agents how they are, where it is time to; wakes the adapters where something is new."""
        now = self._pods.now()
        if at_all or now - self._asked >= POLL_SECONDS:
            self._asked = now
            for pod in self._pods.pods.values():
                if not pod.deaf or at_all:
                    self._ask(pod)
        seen = [
            (view.uid, view.restarts, view.ready, view.leaving, view.agent and _state(view.agent))
            for view in self.pods("", "")
        ]
        if seen != self._seen:
            self._seen = seen
            for uid in self._adapters():
                self._wake(uid)

    def _ask(self, pod: Pod) -> None:
        if not pod.reachable:
            self._views[pod.uid] = AgentView(False, trouble=_UNREACHABLE, at=self._pods.now())
            return
        self._views[pod.uid] = AgentView(
            True,
            pod.engine_reachable,
            None if pod.engine_reachable else _ENGINE_DOWN,
            loaded=dict(pod.loaded) if pod.engine_reachable else {},
            here=frozenset(pod.here),
            at=self._pods.now(),
        )

    def _begin(self) -> None:
        busy = {
            running.call.pod
            for _, running, begun in self._going
            if begun and not isinstance(running.call, Resolve)
        }
        for index, (asker, running, begun) in enumerate(self._going):
            is_short = not isinstance(running.call, Resolve)
            if begun or (is_short and running.call.pod in busy):
                continue
            busy |= {running.call.pod} if is_short else set()
            self._going[index] = (asker, running, True)
            self._pods.begin(running.call, lambda ended, asker=asker: self._end(asker, ended))  # type: ignore[misc]

    def _end(self, asker: str, ended: Ended) -> None:
        if self.dead:
            return
        before = len(self._going)
        self._going = [each for each in self._going if not (each[0] == asker and each[1].call == ended.call)]
        if len(self._going) != before:
            self._ended.setdefault(asker, []).append(ended)
            self._wake(asker)
        if pod := self._pods.pods.get(ended.call.pod):
            self._ask(pod)
        self._begin()


def resolved(source: Source) -> Resolved:
    """What an agent finds at a source."""
    seed = source.local.path.strip("/") if source.local else "other"
    return Resolved(version(seed), f"hub@{seed}", 8, "base", ("q_proj",), 1000)


def _state(view: AgentView) -> object:
    return view.reachable, view.engine_reachable, frozenset(view.loaded)
