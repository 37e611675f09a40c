"""The agents of all pods: `Agents` over gRPC."""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from sluice.adapters.v1 import adapters_pb2 as pb
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_operator.agents import messages, troubles
from sluice_operator.agents.calls import Calls, Failed, Ongoing
from sluice_operator.agents.protocol import Call, Ended, Load, Resolve, Running, Unload
from sluice_operator.agents.rousing import Later, is_concerned
from sluice_operator.agents.settings import FleetSettings
from sluice_operator.agents.throttle import Throttle
from sluice_operator.agents.tokens import Tokens
from sluice_operator.agents.views import AgentView, PodView, Resolved, Trouble
from sluice_operator.agents.watched import WatchedPod
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.cluster.resources import PODS, resource_of
from sluice_operator.kinds.model_server import names
from sluice_operator.reconciling.labels import MODEL_SERVER
from sluice_operator.reconciling.mirror import Mirror
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

_ADAPTERS: Final = resource_of(LoRAAdapter)
_SERVERS: Final = resource_of(ModelServer)
#: Between two looks at the mirror for pods that came, changed or went.
_FOLLOW_SECONDS: Final = 0.25
#: All of a server's adapters are woken no more often than this, for whatever happens to its pods.
_WAKE_SECONDS: Final = 1.0

Server = tuple[str, str]
"""Namespace and name of a `ModelServer`."""


class Fleet:
    """Looks at the agents of every model server that it has been asked about; `async with` ends it.

    Args:
        cluster: Has the Secrets with agents' tokens.
        mirror: Has the pods, by the label of their model server, and the adapters.
        wake: Has the object of a uid reconciled.
        settings: Bounds and paces.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        cluster: Cluster,
        mirror: Mirror,
        wake: Callable[[str], None],
        settings: FleetSettings = FleetSettings(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._mirror = mirror
        self._wake = wake
        self._settings = settings
        self._tokens = Tokens(cluster, settings.token_seconds)
        self._looks = asyncio.Semaphore(settings.statuses)
        self._turns = {
            "resolve": asyncio.Semaphore(settings.resolves),
            "load": asyncio.Semaphore(settings.loads),
            "suspect": asyncio.Semaphore(settings.suspects),
        }
        self._calls = Calls(self._make, self._turn, wake, settings.resolves_of_a_pod, clock)
        self._pods: dict[str, WatchedPod] = {}
        self._of: dict[Server, dict[str, WatchedPod]] = {}
        self._askers: dict[tuple[str, str], str] = {}
        #: Pods that have changed since their servers' adapters were last woken.
        self._news: dict[Server, set[str]] = defaultdict(set)
        self._later = Later(wake)
        #: By server, the mirror's edition of pods that has been taken over.
        self._editions: dict[Server, int] = {}
        self._wake_adapters = Throttle[Server](lambda: _WAKE_SECONDS, self._wake_all)
        self._wake_server = Throttle[Server](lambda: _WAKE_SECONDS, self._wake_model_server)
        self._following: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all calls and closes all channels; nobody is woken any more."""
        self._wake_adapters.close()
        self._later.close()
        self._wake_server.close()
        if self._following:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._calls.close()
        await asyncio.gather(*(pod.close() for pod in self._pods.values()), *self._closing)
        self._pods.clear()
        self._of.clear()

    def pods(self, namespace: str, model_server: str) -> Sequence[PodView]:
        """The replicas of a model server, by name; from now on their agents are looked at."""
        server = namespace, model_server
        self._of.setdefault(server, {})
        if self._following is None:
            self._following = asyncio.create_task(self._follow(), name="pods of model servers")
        self._refresh({server})
        return sorted((pod.view for pod in self._of[server].values()), key=lambda view: view.name)

    def start(self, asker: str, call: Call) -> bool:
        """Starts a call; false where the asker has it going."""
        if not isinstance(call, Resolve):
            self._askers[call.pod, call.name] = asker
        return self._calls.start(asker, call)

    def running(self, asker: str) -> Sequence[Running]:
        """The asker's calls that have not ended."""
        return self._calls.running(asker)

    def take_ended(self, asker: str) -> Sequence[Ended]:
        """The asker's calls that have ended since this was last asked."""
        return self._calls.take_ended(asker)

    def forget(self, asker: str) -> None:
        """Ends what the asker has going."""
        self._calls.forget(asker)
        self._later.forget(asker)
        for key in [key for key, each in self._askers.items() if each == asker]:
            del self._askers[key]

    def engine_names_in_use(self, namespace: str, model_server: str) -> Mapping[str, frozenset[str]]:
        """By pod uid, the names that its engine lists or loads."""
        found = {}
        for view in self.pods(namespace, model_server):
            listed = view.agent.loaded if view.agent else ()
            found[view.uid] = frozenset(listed) | self._calls.loading(view.uid)
        return found

    # pods that come, change and go

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_FOLLOW_SECONDS)
            try:
                self._refresh(set(self._of))
            except Exception:
                _LOG.exception("the pods of model servers cannot be told")  # and are looked at again

    def _refresh(self, servers: set[Server]) -> None:
        edition = self._mirror.edition(PODS)
        servers = {server for server in servers if self._editions.get(server) != edition}
        if not servers:
            return
        found: dict[Server, dict[str, Manifest]] = {server: {} for server in servers}
        labelled = {(namespace, names.label(name)): (namespace, name) for namespace, name in servers}
        for manifest in self._mirror.all(PODS, *_narrowed(servers)):
            metadata = manifest["metadata"]
            label = (metadata.get("labels") or {}).get(MODEL_SERVER, "")
            if server := labelled.get((metadata["namespace"], label)):
                found[server][metadata["uid"]] = manifest
        for server, there in found.items():
            if self._took_over(server, there):
                self._wake_adapters(server)
                self._wake_server(server)
            self._editions[server] = edition

    def _took_over(self, server: Server, there: Mapping[str, Manifest]) -> bool:
        """Whether anything has changed."""
        known, news = self._of[server], self._news[server]
        changed = False
        for uid in known.keys() - there.keys():
            changed = True
            news.add(uid)
            self._lose(server, uid)
        for uid, manifest in there.items():
            if uid in known:
                if known[uid].seen(manifest):
                    changed = True
                    news.add(uid)
            else:
                pod = WatchedPod(manifest, server[1], self._tokens, self._looks, self._settings, self._heard)
                known[uid] = self._pods[uid] = pod
                changed |= not pod.facts.address  # of others there is more to tell soon
        return changed

    def _lose(self, server: Server, uid: str) -> None:
        pod = self._of[server].pop(uid)
        del self._pods[uid]
        self._calls.lose(uid)
        for key in [key for key in self._askers if key[0] == uid]:
            del self._askers[key]
        closing = asyncio.create_task(pod.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    # what agents say

    def _heard(self, pod: WatchedPod, before: AgentView | None, own: bool) -> None:  # noqa: FBT001 - a callback
        server = pod.facts.namespace, pod.model_server
        now = pod.agent
        self._wake_server(server)
        if own:
            return
        if now is None or before is None or _state(now) != _state(before):
            self._news[server].add(pod.facts.uid)
            self._wake_adapters(server)
            return
        for name in _differing(before, now):
            if asker := self._askers.get((pod.facts.uid, name)):
                self._wake(asker)
            else:
                self._news[server].add(pod.facts.uid)
                self._wake_adapters(server)

    def _wake_all(self, server: Server) -> None:
        namespace, name = server
        pods, others = self._news.pop(server, set()), []
        for manifest in self._mirror.all(_ADAPTERS, namespace):
            if manifest["spec"].get("modelServerRef") == name:
                uid = manifest["metadata"]["uid"]
                if is_concerned(manifest, pods):
                    self._later.forget(uid)
                    self._wake(uid)
                else:
                    others.append(uid)
        self._later.add(others)

    def _wake_model_server(self, server: Server) -> None:
        if manifest := self._mirror.get(_SERVERS, *server):
            self._wake(manifest["metadata"]["uid"])

    # calls

    @contextlib.asynccontextmanager
    async def _turn(self, call: Call) -> AsyncIterator[None]:
        lane = "resolve"
        if not isinstance(call, Resolve):
            pod = self._pods.get(call.pod)
            lane = "load" if pod and pod.agent and pod.agent.reachable else "suspect"
        async with self._turns[lane]:
            yield

    async def _make(self, ongoing: Ongoing) -> Resolved | None:
        call = ongoing.call
        pod = self._pods.get(call.pod)
        if pod is None:
            raise Failed(troubles.pod_gone())
        client = pod.client
        if client is None:
            raise Failed(Trouble(troubles.AGENT_UNREACHABLE, f"the pod {pod.facts.name} has no address yet"))
        boot = pod.boot
        try:
            match call:
                case Resolve():
                    resolved = await client.resolve(call, lambda progress: _note(ongoing, progress))
                    pod.resolved(resolved.version)
                    return resolved
                case Load():
                    await client.load(call)
                    pod.loaded(call.name, call.version, boot)
                case Unload():
                    await client.unload(call)
                    pod.unloaded(call.name, boot)
                    self._askers.pop((call.pod, call.name), None)
        except ServiceError as error:
            pod.look()
            answers = pod.agent is not None and pod.agent.reachable
            is_slow = answers and troubles.is_late(error)
            raise Failed(troubles.too_slow(call) if is_slow else pod.trouble(error)) from error
        return None


def _note(ongoing: Ongoing, progress: pb.Progress) -> None:
    ongoing.running = Running(
        ongoing.call,
        ongoing.running.since,
        messages.phase(progress),
        progress.bytes,
        progress.total_bytes,
    )


def _narrowed(servers: set[Server]) -> tuple[str | None, Mapping[str, str] | None]:
    """What to ask the mirror for: one server's pods, or all."""
    if len(servers) != 1:
        return None, None
    ((namespace, name),) = servers
    return namespace, {MODEL_SERVER: names.label(name)}


def _state(view: AgentView) -> object:
    return view.reachable, view.engine_reachable, view.trouble and view.trouble.reason


def _differing(before: AgentView, now: AgentView) -> Iterator[str]:
    for name in before.loaded.keys() | now.loaded.keys():
        if before.loaded.get(name, before) != now.loaded.get(name, now):
            yield name
