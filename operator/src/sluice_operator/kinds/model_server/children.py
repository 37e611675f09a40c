"""Manifests of what is made for a model server, but for its pods' template. Pure."""

import math
from collections.abc import Mapping
from typing import Any, Final

from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.vllm import Vllm
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import (
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    SECRETS,
    SERVICES,
    Resource,
)
from sluice_operator.kinds.model_server import layout, names
from sluice_operator.reconciling.labels import of_child, owner_reference

Part = dict[str, Any]

#: Seconds that a rollout may take beyond vLLM's start before it counts as stuck.
_ROLLOUT: Final = 600
_HISTORY: Final = 3


def manifest(
    resource: Resource, server: ModelServer, uid: str, name: str, **parts: Any
) -> tuple[Resource, Manifest]:
    """A child, with its labels and its owner."""
    metadata = {
        "name": name,
        "namespace": server.metadata.namespace,
        "labels": {**of_child(server, uid), "app.kubernetes.io/component": "model-server"},
        "ownerReferences": [dict(owner_reference(server, uid))],
    }
    return resource, {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        **parts,
    }


def deployment(
    server: ModelServer, uid: str, vllm: Vllm, template: Part, replicas: int | None
) -> tuple[Resource, Manifest]:
    """The pods.

    Args:
        replicas: None where somebody else says how many.
    """
    spec: Part = {
        "selector": {"matchLabels": layout.selector(server.metadata.name, uid)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling(vllm)},
        "progressDeadlineSeconds": math.ceil(vllm.startup_timeout) + _ROLLOUT,
        "revisionHistoryLimit": _HISTORY,
        "template": template,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return manifest(DEPLOYMENTS, server, uid, names.child(server.metadata.name), spec=spec)


def rolling(vllm: Vllm) -> Part:
    """How pods are replaced. Of several with GPUs one goes before its successor comes: a spare GPU is rare. One alone
    goes after its successor has come, as nothing would answer meanwhile."""
    if vllm.rollout is not None:
        return {"maxSurge": vllm.rollout.max_surge, "maxUnavailable": vllm.rollout.max_unavailable}
    in_place = bool(vllm.gpu) and least(vllm) > 1
    return {"maxSurge": 0, "maxUnavailable": 1} if in_place else {"maxSurge": 1, "maxUnavailable": 0}


def service(server: ModelServer, uid: str) -> tuple[Resource, Manifest]:
    """An address for all pods. Inference goes to each pod by itself; this one is for people and Prometheus."""
    spec = {
        "selector": layout.selector(server.metadata.name, uid),
        "ports": [
            {"name": "http", "port": layout.ENGINE_PORT, "targetPort": layout.ENGINE_PORT, "protocol": "TCP"}
        ],
    }
    return manifest(SERVICES, server, uid, names.child(server.metadata.name), spec=spec)


def disruption_budget(server: ModelServer, uid: str, vllm: Vllm) -> tuple[Resource, Manifest]:
    """How many pods may be evicted at once; those that are not ready always may, so that none that loads for ever holds
    a node's drain up."""
    spec = {
        "selector": {"matchLabels": layout.selector(server.metadata.name, uid)},
        "maxUnavailable": vllm.disruption.max_unavailable,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return manifest(DISRUPTION_BUDGETS, server, uid, names.child(server.metadata.name), spec=spec)


def agent_secret(server: ModelServer, uid: str, token: str) -> tuple[Resource, Manifest]:
    """The token by which agents know the operator; in base64."""
    data: Mapping[str, str] = {layout.TOKEN_KEY: token}
    name = names.agent_secret(server.metadata.name)
    return manifest(SECRETS, server, uid, name, type="Opaque", data=dict(data))


def least(vllm: Vllm) -> int:
    """The fewest pods that there should be."""
    return vllm.autoscaling.min_replicas if vllm.autoscaling is not None else vllm.replicas


def most(vllm: Vllm) -> int:
    """The most pods that there should be."""
    return vllm.autoscaling.max_replicas if vllm.autoscaling is not None else vllm.replicas
