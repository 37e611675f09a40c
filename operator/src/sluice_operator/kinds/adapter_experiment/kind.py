"""`AdapterExperiment` as the loop sees it: what is read, and when."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from sluice_api.objects.adapter_experiment import AdapterExperiment, Decommission
from sluice_api.objects.base import SluiceObject
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline
from sluice_api.statuses.adapter_experiment import AdapterExperimentStatus
from sluice_api.statuses.base import Truth
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.cluster.resources import MODEL_REWRITES, Resource, resource_of
from sluice_operator.kinds.adapter_experiment.context import Context, Look, Surroundings
from sluice_operator.kinds.adapter_experiment.looking import look
from sluice_operator.kinds.adapter_experiment.observing import status_of
from sluice_operator.kinds.adapter_experiment.rewrite import rewrite
from sluice_operator.kinds.adapter_experiment.settling import Settled, next_look, settle, trial_of
from sluice_operator.kinds.adapter_experiment.trial import Trial, kept
from sluice_operator.outcomes.protocol import Outcomes
from sluice_operator.reconciling.kind import Item, Kind, Observation, Plan
from sluice_operator.reconciling.labels import OWNER_UID
from sluice_operator.reconciling.mirror import Mirror
from sluice_servicekit import errors

O = TypeVar("O", bound=SluiceObject)  # noqa: E741 - an object

_EXPERIMENTS, _ADAPTERS = resource_of(AdapterExperiment), resource_of(LoRAAdapter)
_SERVERS, _PIPELINES = resource_of(ModelServer), resource_of(Pipeline)

#: Seconds after which a failed look is repeated, where the interval is longer.
_SOON = 15.0

#: Seconds for which it is remembered whether the cluster knows `InferenceModelRewrite`.
_INSTALLED = 300.0


class AdapterExperiments(Kind[AdapterExperiment, Context]):
    """Looks at experiments until they have their verdicts.

    Args:
        outcomes: The gateway; None where the operator was not told of one.
        clock: Gives seconds since the epoch.
    """

    model = AdapterExperiment
    applies = (MODEL_REWRITES,)
    listens = (_ADAPTERS, _SERVERS, _PIPELINES, _EXPERIMENTS)

    def __init__(
        self,
        cluster: Cluster,
        mirror: Mirror,
        outcomes: Outcomes | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._mirror = mirror
        self._outcomes = outcomes
        self._clock = clock
        self._looks: dict[str, Look] = {}
        #: Decided trials: a status that is written over by an earlier one loses no verdict.
        self._decided: dict[str, Trial] = {}
        self._rewrites: tuple[float, bool] | None = None

    async def gather(self, item: Item[AdapterExperiment]) -> Context:
        """See `Kind.gather`."""
        now, around = self._clock(), self._around(item)
        status, seen = _status(item.object.status), self._looks.get(item.uid)
        current = trial_of(item.object, status, around, now)
        if current.verdict is None:
            # What may be decided must not have been decided: the mirror lags behind a write whose reply was lost.
            status = await self._status_now(item)
            current = trial_of(item.object, status, around, now)
            decided = self._decided.get(item.uid)
            if decided is not None and (current.id, current.since) == (decided.id, decided.since):
                status = status.model_copy(update=kept(decided))
                current = trial_of(item.object, status, around, now)
        wait = self._wait(item, seen, next_look(item.object.spec, current, seen, now), now)
        if wait == 0.0 and current.since is not None:
            seen = await look(self._outcomes, item.name, current.since, now)
            self._looks[item.uid] = seen
        context = Context(now, status, around, seen, await self._knows_rewrites(item.namespace))
        settled = settle(item.object, context)
        if settled.trial.verdict is not None:
            self._decided[item.uid] = settled.trial
        return context

    def plan(self, item: Item[AdapterExperiment], context: Context) -> Plan:
        """See `Kind.plan`."""
        settled = settle(item.object, context)
        server = context.around.server
        if not context.rewrites or server is None or settled.accepted.status is not Truth.TRUE:
            return Plan()
        manifest = rewrite(item.object, item.uid, server.spec.base_model, settled.arms, settled.promoted)
        return Plan(manifests=((MODEL_REWRITES, manifest),))

    def observe(
        self, item: Item[AdapterExperiment], context: Context, children: Sequence[Manifest]
    ) -> Observation:
        """See `Kind.observe`."""
        settled = settle(item.object, context)
        status = status_of(item.object.spec, settled, context)
        return Observation(status, again_in=self._again_in(item, settled, context))

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        """See `Kind.concerned`."""
        for found in mirror.all(_EXPERIMENTS, changed["metadata"]["namespace"]):
            if _concerns(changed, resource, found):
                yield str(found["metadata"]["uid"])

    def forgotten(self, item_uid: str) -> None:
        """See `Kind.forgotten`."""
        self._looks.pop(item_uid, None)
        self._decided.pop(item_uid, None)

    def _again_in(self, item: Item[AdapterExperiment], settled: Settled, context: Context) -> float | None:
        wait = next_look(item.object.spec, settled.trial, context.look, context.now)
        waits = [self._wait(item, context.look, wait, context.now)]
        until = settled.losers.until
        if until is not None and until > context.now:
            waits.append(until - context.now)
        known = [max(0.1, each) for each in waits if each is not None]
        return min(known, default=None)

    def _wait(
        self, item: Item[AdapterExperiment], seen: Look | None, wait: float | None, now: float
    ) -> float | None:
        """A look that failed is repeated sooner."""
        if wait is None or seen is None or seen.report is not None:
            return wait
        soon = min(_SOON, item.object.spec.analysis_interval)
        return min(wait, max(0.0, seen.at + soon - now))

    async def _status_now(self, item: Item[AdapterExperiment]) -> AdapterExperimentStatus:
        found = await self._cluster.get(_EXPERIMENTS, item.namespace, item.name)
        return _status((found or {}).get("status") or {})

    async def _knows_rewrites(self, namespace: str) -> bool:
        now = self._clock()
        if self._rewrites is None or now - self._rewrites[0] >= _INSTALLED:
            try:
                await self._cluster.list(MODEL_REWRITES, namespace, {OWNER_UID: "none"})
            except (errors.Unimplemented, errors.NotFound, errors.PermissionDenied):
                self._rewrites = (now, False)
            else:
                self._rewrites = (now, True)
        return self._rewrites[1]

    def _around(self, item: Item[AdapterExperiment]) -> Surroundings:
        spec = item.object.spec
        server = self._mirror.get(_SERVERS, item.namespace, spec.model_server_ref)
        adapters = {
            adapter.metadata.name: adapter
            for name in {arm.adapter_ref for arm in spec.arms if arm.adapter_ref}
            for adapter in _parsed(LoRAAdapter, [self._mirror.get(_ADAPTERS, item.namespace, name)])
        }
        manifests = {
            str(each["metadata"]["name"]): each for each in self._mirror.all(_EXPERIMENTS, item.namespace)
        }
        own = manifests.pop(item.name, {"metadata": {"name": item.name}})
        return Surroundings(
            next(iter(_parsed(ModelServer, [server])), None),
            adapters,
            tuple(_parsed(AdapterExperiment, manifests.values())),
            frozenset(name for name, each in manifests.items() if _made(each) < _made(own)),
            tuple(_parsed(Pipeline, self._mirror.all(_PIPELINES, item.namespace))),
        )


def _concerns(changed: Manifest, resource: Resource, experiment: Manifest) -> bool:
    """Whether a change may matter to an experiment; both as the API server has them, be they valid or not."""
    name, spec = changed["metadata"]["name"], experiment.get("spec") or {}
    if resource == _SERVERS:
        return bool(spec.get("modelServerRef") == name)
    if resource == _ADAPTERS:
        return any(arm.get("adapterRef") == name for arm in spec.get("arms") or ())
    if resource == _EXPERIMENTS and experiment["metadata"]["uid"] == changed["metadata"]["uid"]:
        return False
    other = changed.get("spec") or {}
    rivals = resource == _EXPERIMENTS and other.get("modelName") == spec.get("modelName")
    # Whatever names an adapter keeps it from being retired.
    return rivals or spec.get("decommission") == Decommission.RETIRE


def _made(manifest: Manifest) -> tuple[str, str]:
    """By which of two is older."""
    metadata = manifest["metadata"]
    return str(metadata.get("creationTimestamp") or ""), str(metadata["name"])


def _parsed(model: type[O], manifests: Iterable[Manifest | None]) -> list[O]:
    """Those that can be read; what another release has written is its own kind's to complain of."""
    found = []
    for manifest in manifests:
        try:
            if manifest is not None:
                found.append(model.model_validate(dict(manifest)))
        except ValidationError:
            continue
    return found


def _status(content: Any) -> AdapterExperimentStatus:
    """As it was last written; from the beginning where somebody else has made it unreadable."""
    try:
        return AdapterExperimentStatus.model_validate(content or {})
    except ValidationError:
        return AdapterExperimentStatus()
