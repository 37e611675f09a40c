"""Objects around one experiment, as the API server has them."""

from typing import Any

SERVER = "vllm"
BASE_MODEL = "qwen"


def manifest(
    kind: str, name: str, spec: dict[str, Any], namespace: str = "default", **more: Any
) -> dict[str, Any]:
    """An object of ours."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, **more}


def server(name: str = SERVER, namespace: str = "default") -> dict[str, Any]:
    """A model server that runs elsewhere."""
    spec = {"baseModel": BASE_MODEL, "external": {"urls": ["http://x/v1"]}}
    return manifest("ModelServer", name, spec, namespace)


def adapter(name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """An adapter that nobody has looked at."""
    given = {
        "modelServerRef": SERVER,
        "modelName": name,
        "revision": "r1",
        "source": {"local": {"path": "/a"}},
    }
    return manifest("LoRAAdapter", name, given | spec, namespace)


def looked_at(engine_name: str, *, ready: bool = True) -> dict[str, Any]:
    """What the operator says of an adapter."""
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "Ready" if ready else "TooFewLoaded",
        "message": "" if ready else "0 of 2 pods have it.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {"engineName": engine_name, "conditions": [condition]}


def spec(new: int = 50, treatments: tuple[str, ...] = ("new",), **more: Any) -> dict[str, Any]:
    """Splits `support` between the base model and adapters, which are called as their arms are.

    Args:
        new: Each treatment's weight.
    """
    arms: list[dict[str, Any]] = [
        {"name": "base", "role": "Control", "weight": 100 - new * len(treatments)},
        *({"name": each, "role": "Treatment", "weight": new, "adapterRef": each} for each in treatments),
    ]
    bounds = [{"metric": "errorRate", "aggregation": "rate", "max": 0.05}]
    return {
        "modelServerRef": SERVER,
        "modelName": "support",
        "arms": arms,
        "guardMetrics": bounds,
        "minSamplesPerArm": 100,
        "onSuccess": "Promote",
    } | more


def experiment(name: str = "trial", namespace: str = "default", **given: Any) -> dict[str, Any]:
    """An experiment; see `spec`."""
    return manifest("AdapterExperiment", name, spec(**given), namespace)


def pipeline(name: str = "default", namespace: str = "default", model: str = "support") -> dict[str, Any]:
    """Asks for the model that experiments split."""
    generate = {"modelServerRef": SERVER, "modelName": model}
    spec = {"knowledgeBaseRef": "default", "guardrailPolicyRef": "default", "steps": {"generate": generate}}
    return manifest("Pipeline", name, spec, namespace)
