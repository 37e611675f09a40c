"""What keeps an adapter from being loaded at all, whatever its files and pods are. Pure."""

from dataclasses import dataclass

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.reconciling.kind import Item


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why nothing is loaded."""

    reason: str
    """Of `Ready`, and of the other conditions that have it."""
    message: str
    is_ready: bool = False
    """Nothing has to be loaded."""
    leaves: bool = False
    """What is loaded is left as it is: the server may only be out of sight, and with it its pods go."""
    forgets: bool = False
    """There is nothing to come back to: what was in rotation is forgotten, too."""


def obstacle(item: Item[LoRAAdapter], context: Context) -> Obstacle | None:
    """The first that there is."""
    spec, server = item.object.spec, context.server
    ref = f"ModelServer {spec.model_server_ref!r}"
    if server is None:
        return Obstacle(
            "ModelServerNotFound",
            f"There is no {ref} in namespace {item.namespace!r}. Make it, or correct spec.modelServerRef.",
            leaves=True,
        )
    older = older_sibling(item, context)
    if older:
        return Obstacle(
            "AliasConflict",
            f"LoRAAdapter {older!r} of {ref} is older and has the alias {spec.model_name!r}. Change spec.modelName, or "
            "delete the other.",
        )
    if server.spec.extractive is not None:
        return Obstacle(
            "Extractive", f"{ref} quotes and has no model to adapt. Name another ModelServer.", forgets=True
        )
    if spec.model_name == server.spec.base_model:
        return Obstacle(
            "AliasIsBaseModel",
            f"{spec.model_name!r} is the base model of {ref}. Change spec.modelName.",
        )
    if server.spec.vllm is None:
        return Obstacle(
            "ServedElsewhere",
            f"{ref} is external: nothing is loaded. Its server has to serve {spec.model_name!r}.",
            is_ready=True,
            forgets=True,
        )
    if server.spec.vllm.lora is None:
        return Obstacle("LoraDisabled", f"{ref} loads no adapters. Set spec.vllm.lora there.")
    if context.retired_by:
        return Obstacle(
            "Retired",
            f"AdapterExperiment {context.retired_by!r} has done with it: it is drained and unloaded, and loaded again "
            "when the experiment is deleted or begins anew. Delete both together.",
        )
    return None


def older_sibling(item: Item[LoRAAdapter], context: Context) -> str:
    """The name of the adapter that has the alias; empty where this one has it."""
    own, alias = (context.created_at, item.uid), item.object.spec.model_name
    rivals = [
        (each.created_at, each.uid, each.name)
        for each in context.siblings
        if each.model_name == alias and (each.created_at, each.uid) < own
    ]
    return min(rivals)[2] if rivals else ""
