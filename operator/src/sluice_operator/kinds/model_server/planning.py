"""What ought to be for a model server. Pure."""

from collections.abc import Iterator
from typing import Any

from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.vllm import Vllm
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import (
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    SCALED_OBJECTS,
    SECRETS,
    SERVICES,
    Resource,
)
from sluice_operator.kinds.model_server import autoscaling, children, layout, names, network, pods
from sluice_operator.kinds.model_server.context import Context
from sluice_operator.reconciling.kind import Item, Plan
from sluice_servicekit.errors import InvalidArgument

Part = dict[str, Any]


def wanted(server: ModelServer) -> tuple[tuple[Resource, str], ...]:
    """Every child that there should be, by its name."""
    vllm = server.spec.vllm
    if vllm is None:
        return ()
    name = names.child(server.metadata.name)
    found = [(SERVICES, name), (NETWORK_POLICIES, name), (DEPLOYMENTS, name)]
    if vllm.lora is not None:
        found.append((SECRETS, names.agent_secret(server.metadata.name)))
    if children.most(vllm) > 1:
        found.append((DISRUPTION_BUDGETS, name))
    if vllm.autoscaling is not None:
        found.append((autoscaling.resource(vllm.autoscaling), name))
    return tuple(found)


def plan(item: Item[ModelServer], context: Context) -> Plan:
    """Every child that can be made, in the order in which they need each other."""
    vllm = item.object.spec.vllm
    if vllm is None:
        return Plan()
    hoped = {resource for resource, _ in wanted(item.object)}
    manifests = tuple(
        (resource, manifest)
        for resource, manifest in _manifests(item, vllm, context)
        if resource in hoped and (resource, manifest["metadata"]["name"]) not in context.taken
    )
    return Plan(manifests)


def template_problem(item: Item[ModelServer], context: Context) -> str:
    """Why `podTemplate` cannot be applied; empty where it can."""
    vllm = item.object.spec.vllm
    try:
        if vllm is not None:
            pods.template(item.object, item.uid, vllm, context.settings, "")
    except InvalidArgument as error:
        return error.message
    return ""


def _manifests(item: Item[ModelServer], vllm: Vllm, context: Context) -> Iterator[tuple[Resource, Manifest]]:
    server, uid = item.object, item.uid
    yield network.policy(server, uid, vllm, context.settings)
    yield children.agent_secret(server, uid, context.token)
    yield children.service(server, uid)
    yield children.disruption_budget(server, uid, vllm)
    yield from _deployment(item, vllm, context)
    if vllm.autoscaling is not None:
        resource, manifest = autoscaling.autoscaler(server, uid, vllm.autoscaling)
        if context.keda or resource != SCALED_OBJECTS:
            yield resource, manifest


def _deployment(item: Item[ModelServer], vllm: Vllm, context: Context) -> Iterator[tuple[Resource, Manifest]]:
    """None as long as there is none and its pods could not start; one that is there stays, whatever is wrong."""
    live = context.deployment
    template = _template(item, vllm, context)
    held_up = context.secrets.missing or any(resource == SECRETS for resource, _ in context.taken)
    if template is None or (live is None and held_up):
        return
    replicas: int | None = vllm.replicas
    if vllm.autoscaling is not None:
        replicas = autoscaling.kept_replicas(vllm.autoscaling, live, scaled=context.scaled)
    yield children.deployment(item.object, item.uid, vllm, template, replicas)


def _template(item: Item[ModelServer], vllm: Vllm, context: Context) -> Part | None:
    live = context.deployment["spec"]["template"] if context.deployment is not None else None
    digest = context.secrets.digest
    if context.secrets.missing and live is not None:
        digest = str((live["metadata"].get("annotations") or {}).get(layout.SECRETS_DIGEST, ""))
    try:
        return pods.template(item.object, item.uid, vllm, context.settings, digest)
    except InvalidArgument:
        if live is None:
            return None
        metadata = {name: part for name, part in live["metadata"].items() if part is not None}
        return {**live, "metadata": metadata}
