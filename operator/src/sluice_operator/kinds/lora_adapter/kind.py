"""`LoRAAdapter` in the loop: what is read for a pass, and who is told of its decisions."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import ValidationError

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses.base import Status
from sluice_api.statuses.lora_adapter import LOADED, LoRAAdapterStatus
from sluice_operator.agents.protocol import Agents, Ended, Load
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import PODS, Resource, resource_of
from sluice_operator.kinds.lora_adapter.context import Context, Sibling
from sluice_operator.kinds.lora_adapter.deletion import plan_deletion
from sluice_operator.kinds.lora_adapter.observe import observe
from sluice_operator.kinds.lora_adapter.plan import plan
from sluice_operator.kinds.lora_adapter.retired import EXPERIMENTS, retired_by, retired_of
from sluice_operator.kinds.lora_adapter.siblings import ADAPTERS, Known, Server, Siblings, status_of
from sluice_operator.reconciling.kind import Item, Kind, Leaving, Observation, Plan
from sluice_operator.reconciling.labels import MODEL_SERVER
from sluice_operator.reconciling.mirror import Mirror

_LOG = logging.getLogger(__name__)

_SERVERS = resource_of(ModelServer)


@dataclass(frozen=True, slots=True)
class _Told:
    """Calls that have ended, and the status that has them in it."""

    ended: tuple[Ended, ...]
    status: Status | None = None
    """Nothing before the pass came that far."""


class LoRAAdapterKind(Kind[LoRAAdapter, Context]):
    """Adapters on the pods of model servers.

    Args:
        mirror: Has model servers, adapters and pods.
        agents: Calls the pods' agents; wakes an adapter when its calls end, or its pods or what they list change.
        clock: Seconds since the epoch.
    """

    model = LoRAAdapter
    listens: ClassVar[tuple[Resource, ...]] = (_SERVERS, ADAPTERS, PODS, EXPERIMENTS)
    selectors: ClassVar[Mapping[Resource, str]] = {PODS: MODEL_SERVER}

    def __init__(self, mirror: Mirror, agents: Agents, clock: Callable[[], float] = time.time) -> None:
        self._mirror = mirror
        self._agents = agents
        self._clock = clock
        self._siblings = Siblings(mirror)
        self._servers: dict[Server, tuple[Manifest, ModelServer | None]] = {}
        self._plans: dict[str, tuple[Context, Plan]] = {}
        self._told: dict[str, _Told] = {}
        #: As siblings and servers were when others were last told of them.
        self._heard: dict[str, object] = {}
        self._heard_of: dict[str, Known] = {}
        #: By experiment, whom it had retired when others were last told of it.
        self._retired: dict[str, frozenset[str]] = {}

    async def gather(self, item: Item[LoRAAdapter]) -> Context:
        """Reads the mirror and the agents' views; takes over the calls that have ended."""
        manifest = self._mirror.by_uid(ADAPTERS, item.uid) or {}
        status = status_of(manifest)
        server = item.namespace, item.object.spec.model_server_ref
        return Context(
            now=self._clock(),
            created_at=(manifest.get("metadata") or {}).get("creationTimestamp") or "",
            status=status,
            server=self._server(server),
            pods=tuple(self._agents.pods(*server)),
            siblings=tuple(self._others(item.uid, server)),
            running=tuple(self._agents.running(item.uid)),
            ended=self._ended(item.uid, status),
            retired_by=retired_by(self._mirror, item.namespace, item.name),
        )

    def plan(self, item: Item[LoRAAdapter], context: Context) -> Plan:
        """The calls to be started."""
        made = plan(item, context)
        self._plans[item.uid] = context, made
        return made

    async def act(self, item: Item[LoRAAdapter], context: Context, plan: Plan) -> None:
        """Starts the calls."""
        for call in plan.actions:
            self._agents.start(item.uid, call)

    def observe(self, item: Item[LoRAAdapter], context: Context, children: Sequence[Manifest]) -> Observation:
        """What people and other kinds are told."""
        planned_for, made = self._plans.pop(item.uid, (None, Plan()))
        found = observe(item, context, made if planned_for is context else plan(item, context))
        self._tells(item.uid, context, found.status)
        return found

    async def leave(self, item: Item[LoRAAdapter], context: Context) -> Leaving:
        """Drains and unloads."""
        calls, leaving = plan_deletion(item, context)
        for call in calls:
            self._agents.start(item.uid, call)
        if leaving.done:
            self._agents.forget(item.uid)
            for condition in leaving.status.conditions if leaving.status else ():
                if condition.type == LOADED.name:
                    _LOG.warning(
                        "LoRAAdapter %s/%s is let go: %s", item.namespace, item.name, condition.message
                    )
        elif leaving.status is not None:
            self._tells(item.uid, context, leaving.status)
        return leaving

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        """A server's adapters, where its spec has changed, else those that wait for its endpoints; the siblings that a
        change of an adapter lets go on; whom an experiment retires, or no more. Pods concern nobody here: `agents`
        wakes those to whom a change matters."""
        if resource == _SERVERS:
            return self._of_server(changed)
        if resource == EXPERIMENTS:
            return self._of_experiment(changed)
        return self._of_adapter(changed) if resource == ADAPTERS else ()

    def forgotten(self, item_uid: str) -> None:
        """Ends the adapter's calls."""
        self._agents.forget(item_uid)
        self._siblings.forget(item_uid)
        self._plans.pop(item_uid, None)
        self._told.pop(item_uid, None)

    def _server(self, server: Server) -> ModelServer | None:
        manifest = self._mirror.get(_SERVERS, *server)
        if manifest is None:
            self._servers.pop(server, None)
            return None
        known = self._servers.get(server)
        if known is None or known[0] is not manifest:
            known = self._servers[server] = manifest, _model_server(manifest)
        return known[1]

    def _others(self, uid: str, server: Server) -> Iterator[Sibling]:
        for known in self._siblings.of(server):
            sibling = known.sibling
            if sibling.uid == uid:
                continue
            running = self._agents.running(sibling.uid)
            if not running:  # as nearly all
                yield sibling
                continue
            under_way = tuple(
                each.call.pod
                for each in running
                if isinstance(each.call, Load) and each.call.name not in known.names
            )
            yield replace(sibling, pods=sibling.pods + under_way) if under_way else sibling

    def _ended(self, uid: str, status: LoRAAdapterStatus) -> tuple[Ended, ...]:
        """Those of the last pass once more where what it said of them could not be written."""
        ended = tuple(self._agents.take_ended(uid))
        told = self._told.pop(uid, None)
        if told is not None and (told.status is None or _said(told.status) != _said(status)):
            ended = told.ended + ended
        if ended:
            self._told[uid] = _Told(ended)
        return ended

    def _tells(self, uid: str, context: Context, status: Status) -> None:
        if context.ended:
            self._told[uid] = _Told(context.ended, status)

    def _of_server(self, server: Manifest) -> Iterator[str]:
        metadata = server["metadata"]
        uid = metadata["uid"]
        is_there = self._mirror.by_uid(_SERVERS, uid) is not None
        now = metadata.get("generation"), metadata.get("deletionTimestamp"), is_there
        is_new = self._heard.get(uid) != now
        self._heard[uid] = now
        if not is_there:
            del self._heard[uid]
        for known in self._siblings.of((metadata["namespace"], metadata["name"])):
            if is_new or known.turns:  # who waits for the server's endpoints to name its new version
                yield known.sibling.uid

    def _of_experiment(self, experiment: Manifest) -> Iterator[str]:
        namespace, retired = experiment["metadata"]["namespace"], retired_of(self._mirror, experiment)
        uid = experiment["metadata"]["uid"]
        before = self._retired.pop(uid, frozenset())
        if retired:
            self._retired[uid] = retired
        for name in sorted(before ^ retired):
            if adapter := self._mirror.get(ADAPTERS, namespace, name):
                yield str(adapter["metadata"]["uid"])

    def _of_adapter(self, adapter: Manifest) -> Iterator[str]:
        uid = adapter["metadata"]["uid"]
        before, now = self._heard_of.pop(uid, None), self._siblings.known(uid)
        if now is not None:
            self._heard_of[uid] = now
        freed = bool(before and _slots(before) - _slots(now))
        changed = _claim(before) != _claim(now)
        claims = {_alias(known) for known in (before, now) if known and changed}
        if not freed and not claims:
            return
        for server in {known.server for known in (before, now) if known}:
            for other in self._siblings.of(server):
                claimed = (server, other.sibling.model_name) in claims
                if other.sibling.uid != uid and (claimed or (freed and other.waits)):
                    yield other.sibling.uid


def _model_server(manifest: Manifest) -> ModelServer | None:
    try:
        return ModelServer.model_validate(dict(manifest))
    except ValidationError:  # its own status says so
        return None


def _said(status: Status) -> Status:
    """Without what the loop adds."""
    return status.model_copy(update={"conditions": (), "observed_generation": 0})


def _slots(known: Known | None) -> Counter[str]:
    return Counter(known.sibling.pods if known else ())


def _alias(known: Known) -> tuple[Server, str]:
    return known.server, known.sibling.model_name


def _claim(known: Known | None) -> object:
    """What may keep others from an alias: whether one that is being deleted still has it is for plans to say."""
    return known and (_alias(known), known.leaving)
