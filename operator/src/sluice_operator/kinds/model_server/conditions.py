"""The conditions of a model server that runs here. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses import model_server as told
from sluice_api.statuses.base import Condition, Truth, stalled
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import AUTOSCALERS, SCALED_OBJECTS, Resource
from sluice_operator.kinds.model_server.autoscaling import resource as scaling_resource
from sluice_operator.kinds.model_server.context import Context
from sluice_operator.kinds.model_server.replicas import GRAVEST, LASTING, Replica

_SCALING: Final = (AUTOSCALERS, SCALED_OBJECTS)
_NAMED: Final = 3
"""Pods that a message names; of others it gives the number."""


def configured(context: Context, problem: str) -> Condition:
    """Whether the spec can be carried out.

    Args:
        problem: Why `podTemplate` cannot be applied.
    """
    if problem:
        return told.CONFIGURED.is_false("PodTemplateInvalid", f"spec.vllm.podTemplate: {problem}.")
    if taken := [key for key in context.taken if key[0] not in _SCALING]:
        return told.CONFIGURED.is_false("NameTaken", _taken(taken))
    if context.secrets.missing:
        return told.CONFIGURED.is_false("SecretMissing", f"{_sentence(context.secrets.missing)} Create it.")
    return told.CONFIGURED.is_true("Configured")


def autoscaled(server: ModelServer, context: Context, children: Sequence[Manifest]) -> Condition | None:
    """Whether the number of pods follows the load; none where it is not to."""
    vllm = server.spec.vllm
    if vllm is None or vllm.autoscaling is None:
        return None
    resource = scaling_resource(vllm.autoscaling)
    if resource == SCALED_OBJECTS and not context.keda:
        return told.AUTOSCALED.is_false(
            "KedaMissing", "autoscaling.queue needs KEDA. Install it, or take autoscaling.cpu or .metric."
        )
    if taken := [key for key in context.taken if key[0] == resource]:
        return told.AUTOSCALED.is_false("NameTaken", _taken(taken))
    child = next((each for each in children if each["kind"] == resource.kind), None)
    found = (child or {}).get("status") or {}
    name = "ScalingActive" if resource == AUTOSCALERS else "Ready"
    said = _condition(found, name)
    if not said:
        return told.AUTOSCALED.is_unknown("Starting")
    # Of a server without pods the HPA says that it is not active, which is as it should be.
    if said["status"] == "True" or said.get("reason") == "ScalingDisabled":
        return told.AUTOSCALED.is_true("Autoscaled")
    return told.AUTOSCALED.is_false(
        "MetricMissing", f"{said.get('reason', 'Unknown')}: {said.get('message', '')}"
    )


def rolled_out(deployment: Manifest | None) -> Condition:
    """Whether all pods run what the spec says now."""
    if deployment is None:
        return told.ROLLED_OUT.is_false("NotMade", "There is no Deployment; `Configured` says why.")
    spec, status = deployment["spec"], deployment.get("status") or {}
    wanted = int(spec.get("replicas", 1))
    updated, available = int(status.get("updatedReplicas") or 0), int(status.get("availableReplicas") or 0)
    others = int(status.get("replicas") or 0) - updated
    seen = int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
    if seen and updated >= wanted and available >= wanted and others <= 0:
        return told.ROLLED_OUT.is_true("RolledOut")
    refused = _condition(status, "ReplicaFailure")
    if refused.get("status") == "True":
        return told.ROLLED_OUT.is_false("PodsRefused", str(refused.get("message")))
    so_far = (
        f"{updated} of {wanted} pods run the newest spec, {available} answer, {max(others, 0)} are of before"
    )
    progress = _condition(status, "Progressing")
    if seen and progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded":
        return told.ROLLED_OUT.is_false(
            "RolloutStuck", f"{so_far}; nothing has moved for progressDeadlineSeconds."
        )
    return told.ROLLED_OUT.is_false("RollingOut", f"{so_far}.")


def available(replicas: Sequence[Replica], wanted: int, deployment: Manifest | None) -> Condition:
    """Whether at least one vLLM answers."""
    answering = [each for each in replicas if each.ready and not each.leaving]
    troubled = sorted(
        (each for each in replicas if each.reason and not each.leaving),
        key=lambda each: (GRAVEST.index(each.reason), each.name),
    )
    if answering:
        message = f"{len(answering)} of {wanted} answer."
        return told.AVAILABLE.is_true("Available", " ".join([message, *_pods(troubled)]))
    if troubled:
        reason = troubled[0].reason
        return told.AVAILABLE.is_false(reason, " ".join([*_pods(troubled), told.AVAILABLE.reasons[reason]]))
    if wanted == 0 and deployment is not None:
        return told.AVAILABLE.is_false("ScaledToZero", "There should be no pods: raise spec.vllm.replicas.")
    missing = "There is no Deployment yet." if deployment is None else "No pods have been made yet."
    return told.AVAILABLE.is_false("Starting", missing)


def manageable(replicas: Sequence[Replica], each_on: int | None) -> Condition:
    """Whether adapters can be loaded and unloaded.

    Args:
        each_on: Where the status has no room for all adapters of all pods, the most pods that each is listed on.
    """
    answering = [each for each in replicas if each.ready and not each.leaving]
    if not answering:
        return told.MANAGEABLE.is_unknown("NoPods", "No pod answers yet.")
    unasked = [each for each in answering if each.agent is None or each.agent.agent is None]
    mute = [each for each in answering if _agent(each, "reachable") is False]
    unusable = [
        each for each in answering if _agent(each, "reachable") and _agent(each, "engine_reachable") is False
    ]
    if mute:
        return told.MANAGEABLE.is_false(
            "AgentUnreachable", f"{_agents(mute)} {told.MANAGEABLE.reasons['AgentUnreachable']}"
        )
    if unusable:
        return told.MANAGEABLE.is_false("EngineUnusable", _agents(unusable))
    if unasked:
        return told.MANAGEABLE.is_unknown("Asking", f"{len(unasked)} agents have not been asked yet.")
    if each_on is not None:
        return told.MANAGEABLE.is_true(
            "NoRoomToList",
            f"Each adapter is listed on {each_on} pods. {told.MANAGEABLE.reasons['NoRoomToList']}",
        )
    return told.MANAGEABLE.is_true("Manageable")


def summed_up(found: Mapping[str, Condition]) -> Iterator[Condition]:
    """`Ready`, and `Stalled` where nobody but a person can help.

    Args:
        found: The other conditions, by type.
    """
    configured, available = found[told.CONFIGURED.name], found[told.AVAILABLE.name]
    if available.status is not Truth.TRUE:
        yield told.SUMMARY.is_false("NotAvailable", f"{available.reason}: {available.message}")
    elif configured.status is not Truth.TRUE:
        yield told.SUMMARY.is_false("NotConfigured", f"{configured.reason}: {configured.message}")
    else:
        yield told.SUMMARY.is_true("Ready", available.message)
    for condition in _lasting(found):
        yield stalled(condition.reason, condition.message)
        return


def _lasting(found: Mapping[str, Condition]) -> Iterator[Condition]:
    lasting = {
        told.CONFIGURED.name: ("SecretMissing", "PodTemplateInvalid", "NameTaken"),
        told.AVAILABLE.name: LASTING,
        told.ROLLED_OUT.name: ("RolloutStuck", "PodsRefused"),
        told.AUTOSCALED.name: ("KedaMissing", "NameTaken"),
    }
    for name, reasons in lasting.items():
        if name in found and found[name].status is not Truth.TRUE and found[name].reason in reasons:
            yield found[name]


def _agent(replica: Replica, field: str) -> bool | None:
    view = replica.agent.agent if replica.agent is not None else None
    return None if view is None else bool(getattr(view, field))


def _agents(replicas: Sequence[Replica]) -> str:
    said = []
    for each in replicas[:_NAMED]:
        trouble = (
            each.agent.agent.trouble if each.agent is not None and each.agent.agent is not None else None
        )
        words = f"{trouble.reason}: {trouble.message}" if trouble is not None else "no answer"
        said.append(f"pod {each.name}: {each.agent_detail or words}")
    return _sentence(said, len(replicas))


def _pods(replicas: Sequence[Replica]) -> list[str]:
    if not replicas:
        return []
    return [_sentence([f"pod {each.name}: {each.detail}" for each in replicas[:_NAMED]], len(replicas))]


def _sentence(parts: Sequence[str], number: int = 0) -> str:
    more = f"; and {number - len(parts)} more" if number > len(parts) else ""
    text = f"{'; '.join(parts)}{more}"
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _taken(taken: Sequence[tuple[Resource, str]]) -> str:
    which = ", ".join(
        f"{resource.kind} {name!r}" for resource, name in sorted(taken, key=lambda key: key[0].kind)
    )
    return f"{which}: not made by the operator for this server, and left alone. Delete or rename it."


def _condition(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == name:
            found: Mapping[str, Any] = condition
            return found
    return {}
