"""What people, autoscalers and inference are told of a model server. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses import model_server as told
from sluice_api.statuses.base import Condition
from sluice_api.statuses.model_server import ModelServerStatus
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import DEPLOYMENTS
from sluice_operator.kinds.model_server import conditions, layout
from sluice_operator.kinds.model_server.context import Context
from sluice_operator.kinds.model_server.endpoints import Endpoints, endpoints
from sluice_operator.kinds.model_server.planning import template_problem
from sluice_operator.kinds.model_server.replicas import Replica, replica
from sluice_operator.reconciling.kind import Item, Observation

#: Seconds between two statuses that differ in adapters alone: a thousand that load would make a thousand.
CALM: Final = 0.5
#: Seconds after which another look is worth while where something outside has to change, of which no stream tells.
_LOOK: Final = 30.0


def observe(item: Item[ModelServer], context: Context, children: Sequence[Manifest]) -> Observation:
    """The status, and when to look again."""
    server = item.object
    if server.spec.vllm is None:
        return Observation(_elsewhere(server))
    wait = context.told_at + CALM - context.now
    # What costs is to say what is loaded where.
    if wait > 0 and _only_adapters_differ(
        context.status, _status(item, replace(context, adapters=()), children)
    ):
        return Observation(context.status, again_in=wait)
    status = _status(item, context, children)
    if wait > 0 and _only_adapters_differ(context.status, status):
        return Observation(context.status, again_in=wait)
    outside = not context.keda or context.taken
    return Observation(status, again_in=_LOOK if outside else None)


def _status(item: Item[ModelServer], context: Context, children: Sequence[Manifest]) -> ModelServerStatus:
    server = item.object
    replicas = [
        replica(pod, server.spec.base_model, context.agents.get(str(pod["metadata"]["uid"])))
        for pod in context.pods
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]
    deployment = next((each for each in children if each["kind"] == DEPLOYMENTS.kind), None)
    staying = [each for each in replicas if not each.leaving]
    ready = sum(each.ready for each in staying)
    wanted = int(deployment["spec"].get("replicas", 1)) if deployment is not None else 0
    selector = layout.selector(item.name, item.uid)
    found = endpoints(replicas, context.adapters)
    return ModelServerStatus(
        replicas=len(staying),
        ready_replicas=ready,
        ready=f"{ready}/{wanted}",
        selector=",".join(f"{name}={value}" for name, value in sorted(selector.items())),
        endpoints=found.listed,
        conditions=tuple(_conditions(item, context, children, replicas, found, deployment, wanted)),
    )


def _conditions(
    item: Item[ModelServer],
    context: Context,
    children: Sequence[Manifest],
    replicas: Sequence[Replica],
    places: Endpoints,
    deployment: Manifest | None,
    wanted: int,
) -> list[Condition]:
    vllm = item.object.spec.vllm
    found = [
        conditions.configured(context, template_problem(item, context)),
        conditions.rolled_out(deployment),
        conditions.available(replicas, wanted, deployment),
    ]
    if (scaled := conditions.autoscaled(item.object, context, children)) is not None:
        found.append(scaled)
    if vllm is not None and vllm.lora is not None:
        found.append(conditions.manageable(replicas, places.each_on))
    return [*found, *conditions.summed_up({each.type: each for each in found})]


def _elsewhere(server: ModelServer) -> ModelServerStatus:
    """Of a server that has no pods."""
    reason = "External" if server.spec.external is not None else "Embedded"
    found = told.AVAILABLE.is_true(reason, told.AVAILABLE.reasons[reason])
    return ModelServerStatus(conditions=(found, told.SUMMARY.is_true("Ready", found.message)))


def _only_adapters_differ(before: ModelServerStatus, after: ModelServerStatus) -> bool:
    """True where nothing that is urgent has changed."""
    return _calm(before) == _calm(after)


def _calm(status: ModelServerStatus) -> object:
    replicas = [(each.name, each.url, each.draining) for each in status.endpoints]
    said = sorted(
        (each.type, each.status, each.reason, each.message)
        for each in status.conditions
        if each.type != "Reconciling"
    )
    return replicas, said, status.ready, status.replicas, status.selector
