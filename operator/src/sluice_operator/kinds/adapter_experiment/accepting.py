"""Whether an experiment can be in force at all. Pure."""

from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.statuses.adapter_experiment import ACCEPTED
from sluice_api.statuses.base import Condition
from sluice_operator.kinds.adapter_experiment.context import Surroundings


def acceptance(experiment: AdapterExperiment, around: Surroundings) -> Condition:
    """The condition `Accepted`."""
    spec, server = experiment.spec, around.server
    if server is None:
        return ACCEPTED.is_false(
            "ServerMissing",
            f"There is no ModelServer {spec.model_server_ref}. Make it, or name another in modelServerRef.",
        )
    if server.spec.extractive is not None:
        return ACCEPTED.is_false(
            "ServerUnfit",
            f"ModelServer {spec.model_server_ref} is extractive and has no models to choose from. Name another.",
        )
    for arm in spec.arms:
        if arm.adapter_ref is None:
            continue
        adapter = around.adapters.get(arm.adapter_ref)
        if adapter is None:
            return ACCEPTED.is_false(
                "AdapterMissing",
                f"There is no LoRAAdapter {arm.adapter_ref}, which the arm {arm.name} names. Make it, or name another.",
            )
        if adapter.spec.model_server_ref != spec.model_server_ref:
            return ACCEPTED.is_false(
                "AdapterUnfit",
                f"LoRAAdapter {arm.adapter_ref} of the arm {arm.name} is one of ModelServer "
                f"{adapter.spec.model_server_ref}, not of {spec.model_server_ref}.",
            )
    split = (spec.model_server_ref, spec.model_name)
    for other in around.experiments:
        name = other.metadata.name
        if name in around.older and split == (other.spec.model_server_ref, other.spec.model_name):
            return ACCEPTED.is_false(
                "ModelTaken",
                f"AdapterExperiment {name} is older and splits {spec.model_name} of {spec.model_server_ref} already. "
                "Delete one of them.",
            )
    return ACCEPTED.is_true("Accepted", f"{spec.model_name} of {spec.model_server_ref} can be split.")
