"""Who may reach the pods: by port, since policies see no paths. Pure."""

from collections.abc import Sequence
from typing import Any

from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pod_parts import Peer
from sluice_api.objects.vllm import Vllm
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import NETWORK_POLICIES, Resource
from sluice_operator.kinds.model_server import layout, names
from sluice_operator.kinds.model_server.children import manifest
from sluice_operator.kinds.model_server.context import Settings

Part = dict[str, Any]


def policy(server: ModelServer, uid: str, vllm: Vllm, settings: Settings) -> tuple[Resource, Manifest]:
    """vLLM's port for inference and gateway and whoever the spec names, the agent's for the operator alone. What pods
    reach is not limited: hubs and stores are anywhere, and the agent looks at each address by itself."""
    others = [_peer(each) for each in vllm.allow_from]
    ingress = [
        {
            "from": [*(_part(settings, part) for part in ("inference", "gateway")), *others],
            "ports": _ports(layout.ENGINE_PORT),
        }
    ]
    if vllm.lora is not None:
        ingress.append({"from": [_part(settings, "operator")], "ports": _ports(layout.AGENT_PORT)})
        if others:
            ingress.append({"from": others, "ports": _ports(layout.AGENT_METRICS_PORT)})
    spec = {
        "podSelector": {"matchLabels": layout.selector(server.metadata.name, uid)},
        "policyTypes": ["Ingress"],
        "ingress": ingress,
    }
    return manifest(NETWORK_POLICIES, server, uid, names.child(server.metadata.name), spec=spec)


def _part(settings: Settings, component: str) -> Part:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}},
        "podSelector": {"matchLabels": {**settings.part_labels, "app.kubernetes.io/component": component}},
    }


def _peer(peer: Peer) -> Part:
    found: Part = {}
    if peer.namespace_labels:
        found["namespaceSelector"] = {"matchLabels": dict(peer.namespace_labels)}
    if peer.pod_labels:
        found["podSelector"] = {"matchLabels": dict(peer.pod_labels)}
    return found


def _ports(*ports: int) -> Sequence[Part]:
    return [{"protocol": "TCP", "port": port} for port in ports]
