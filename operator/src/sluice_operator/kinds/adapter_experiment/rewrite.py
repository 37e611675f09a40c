"""The split as Gateway API's inference extension knows it: an `InferenceModelRewrite`. Pure.

For clients that come through an inference gateway of the cluster rather than Sluice's. It splits request by request:
nothing sticks to an arm there, and nothing of it is counted.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import MODEL_REWRITES
from sluice_operator.kinds.adapter_experiment.arms import ArmView, control_of
from sluice_operator.reconciling.labels import of_child, owner_reference


def rewrite(
    experiment: AdapterExperiment, uid: str, base_model: str, arms: Sequence[ArmView], promoted: str
) -> Manifest:
    """Sends the model's requests to the arms' engine names by weight; all to the promoted arm where there is one, and
    what is a resting arm's to control."""
    spec = experiment.spec
    models = {arm.name: arm.model or base_model for arm in arms}
    control = control_of(spec).name
    weights: Counter[str] = Counter()
    for arm in arms:
        weights[models[arm.name if arm.ready else control]] += arm.arm.weight
    targets: list[dict[str, Any]] = [
        # A weight of 0 is refused: who has none is left out.
        {"modelRewrite": model, "weight": weight}
        for model, weight in sorted(weights.items())
        if weight
    ]
    if promoted:
        targets = [{"modelRewrite": models[promoted], "weight": 100}]
    return {
        "apiVersion": MODEL_REWRITES.api_version,
        "kind": MODEL_REWRITES.kind,
        "metadata": {
            "name": f"sluice-{experiment.metadata.name}"[:253].rstrip("-."),
            "namespace": experiment.metadata.namespace,
            "labels": of_child(experiment, uid),
            "ownerReferences": [owner_reference(experiment, uid)],
        },
        "spec": {
            "poolRef": {
                "group": "inference.networking.k8s.io",
                "kind": "InferencePool",
                "name": spec.inference_pool or spec.model_server_ref,
            },
            "rules": [
                {"matches": [{"model": {"type": "Exact", "value": spec.model_name}}], "targets": targets}
            ],
        },
    }
