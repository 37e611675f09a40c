"""Which slots of which pods are taken."""

from sluice_api.statuses.lora_adapter import LoRAAdapterStatus, PodState


def taken(status: LoRAAdapterStatus) -> tuple[str, ...]:
    """The uids of the pods where an adapter takes slots, each as often as it takes one: for `Sibling.pods`. Where its
    files are being found out it will be loaded."""
    return (
        *(
            each.pod_uid
            for each in status.pods
            if each.state is not (PodState.UNLOADED if each.engine_name else PodState.FAILED)
        ),
        *status.also_loaded,
    )
