"""The models that clients may name. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from sluice_api.snapshot import Snapshot
from sluice_gateway.domain.adapting.choosing import choosable
from sluice_gateway.domain.model import Principal


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model by its name."""

    name: str
    description: str = ""
    parent: str = ""
    """Of an adapter, the pipeline that it answers in."""


def listed(snapshot: Snapshot, principal: Principal) -> list[ListedModel]:
    """The pipelines that a principal may ask, and the adapters that it may name; without those that are not ready."""
    return [model for model in _all(snapshot, principal.tenant) if principal.may_ask(model.name)]


def _all(snapshot: Snapshot, tenant: str) -> Iterator[ListedModel]:
    for name, pipeline in sorted(snapshot.pipelines.items()):
        yield ListedModel(name, pipeline.spec.description)
        for _, adapter in choosable(snapshot, pipeline.spec, tenant):
            if not adapter.resting:
                yield ListedModel(f"{name}/{adapter.model_name}", parent=name)
