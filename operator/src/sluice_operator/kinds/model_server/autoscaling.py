"""What has the number of pods follow the load: an HPA, or KEDA's object. Pure."""

import math
from collections.abc import Mapping
from typing import Any, Final

from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.scaling import Autoscaling, QueueTarget
from sluice_operator.cluster.protocol import FIELD_MANAGER, Manifest
from sluice_operator.cluster.resources import AUTOSCALERS, DEPLOYMENTS, SCALED_OBJECTS, Resource
from sluice_operator.kinds.model_server import layout, names
from sluice_operator.kinds.model_server.children import manifest

Part = dict[str, Any]

_POLL: Final = 15
"""Seconds between two looks of KEDA."""
_KEDA_EXCLUDES: Final = "scaledobject.keda.sh/hpa-excluded-labels"


def resource(scaling: Autoscaling) -> Resource:
    """Which kind of object it takes."""
    return SCALED_OBJECTS if scaling.queue is not None else AUTOSCALERS


def autoscaler(server: ModelServer, uid: str, scaling: Autoscaling) -> tuple[Resource, Manifest]:
    """The object."""
    name = names.child(server.metadata.name)
    target = {"apiVersion": DEPLOYMENTS.api_version, "kind": DEPLOYMENTS.kind, "name": name}
    if scaling.queue is not None:
        spec = _keda(server, target, scaling, scaling.queue)
    else:
        spec = {
            "scaleTargetRef": target,
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [_metric(scaling)],
            "behavior": _behaviour(scaling),
        }
    of, made = manifest(resource(scaling), server, uid, name, spec=spec)
    if scaling.queue is None:
        return of, made
    # KEDA gives its own HPA the labels of this object; the operator's would say that it is a child to be pruned.
    excluded = {_KEDA_EXCLUDES: ",".join(sorted(made["metadata"]["labels"]))}
    return of, {**made, "metadata": {**made["metadata"], "annotations": excluded}}


def kept_replicas(scaling: Autoscaling, live: Manifest | None, *, scaled: bool) -> int | None:
    """The number of pods that the operator still has to say, though an autoscaler is to say it: none once that has.

    What nobody says any more becomes 1 at once, whatever ran before. So a number that the operator has said, it says
    until another has said one.
    """
    if scaled:
        return None
    now = int(live["spec"].get("replicas", 1)) if live is not None else 1
    return min(max(now, scaling.min_replicas), scaling.max_replicas)


def said_by_another(live: Manifest) -> bool:
    """True where another manager has said how many pods a Deployment has."""
    return any(
        entry.get("manager") != FIELD_MANAGER
        and "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in live["metadata"].get("managedFields") or ()
    )


def _metric(scaling: Autoscaling) -> Part:
    if scaling.cpu is not None:
        target = {"type": "Utilization", "averageUtilization": scaling.cpu.utilization}
        return {
            "type": "ContainerResource",
            "containerResource": {"name": "cpu", "container": layout.ENGINE, "target": target},
        }
    assert scaling.metric is not None  # noqa: S101 - the model has exactly one
    target = {"type": "AverageValue", "averageValue": str(scaling.metric.average)}
    return {"type": "Pods", "pods": {"metric": {"name": scaling.metric.name}, "target": target}}


def _behaviour(scaling: Autoscaling) -> Part:
    """Up at once, and down slowly: a pod takes minutes to load."""
    return {"scaleDown": {"stabilizationWindowSeconds": math.ceil(scaling.scale_down_after)}}


def _keda(server: ModelServer, target: Part, scaling: Autoscaling, queue: QueueTarget) -> Part:
    query = queue.query or _waiting(server)
    metadata: Mapping[str, str] = {
        "serverAddress": queue.prometheus,
        "query": query,
        "threshold": str(queue.waiting),
    }
    return {
        "scaleTargetRef": target,
        "minReplicaCount": scaling.min_replicas,
        "maxReplicaCount": scaling.max_replicas,
        "pollingInterval": _POLL,
        "cooldownPeriod": math.ceil(scaling.scale_down_after),
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behaviour(scaling)}},
        "triggers": [{"type": "prometheus", "metadata": dict(metadata)}],
    }


def _waiting(server: ModelServer) -> str:
    """The pods are told by their names: the hash of their set, and five letters of their own."""
    name, namespace = names.child(server.metadata.name), server.metadata.namespace
    pods = f"{name}-[a-z0-9]+-[a-z0-9]{{5}}"
    return f'sum(vllm:num_requests_waiting{{namespace="{namespace}",pod=~"{pods}"}})'
