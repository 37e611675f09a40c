"""Which slots of which pods are taken."""

from sluice_api.statuses.lora_adapter import LoRAAdapterStatus, PodState


def taken(status: LoRAAdapterStatus) -> tuple[str, ...]:
    """The uids of the pods where an adapter takes slots, each as often as it takes one: for `Sibling.pods`."""
    return (
        *(each.pod_uid for each in status.pods if each.engine_name and each.state is not PodState.UNLOADED),
        *status.also_loaded,
    )
