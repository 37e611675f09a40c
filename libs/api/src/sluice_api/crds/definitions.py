"""The custom resource definition of each kind."""

from typing import Any

from sluice_api.crds.columns import columns
from sluice_api.crds.schemas import Schema, found, structural
from sluice_api.objects.base import API_VERSION, SluiceObject
from sluice_api.objects.registry import KINDS
from sluice_api.statuses.registry import STATUSES

GROUP, VERSION = API_VERSION.split("/")

#: What an autoscaler reads and writes, of kinds that can be scaled.
_SCALES = {
    "ModelServer": {
        "specReplicasPath": ".spec.vllm.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
}


def definitions() -> dict[str, dict[str, Any]]:
    """The definitions of all kinds, by name."""
    return {each["metadata"]["name"]: each for each in map(definition, KINDS.values())}


def definition(kind: type[SluiceObject]) -> dict[str, Any]:
    """A kind's definition."""
    subresources: dict[str, Any] = {"status": {}}
    if kind.KIND in _SCALES:
        subresources["scale"] = _SCALES[kind.KIND]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.KIND,
                "listKind": f"{kind.KIND}List",
                "plural": kind.PLURAL,
                "singular": kind.KIND.lower(),
                "shortNames": [kind.SHORT_NAME],
                "categories": ["sluice"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [column.manifest for column in columns(kind.KIND)],
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": _schema(kind)},
                }
            ],
        },
    }


def _schema(kind: type[SluiceObject]) -> Schema:
    whole = structural(kind)
    status, _ = STATUSES[kind.KIND]
    return {
        "type": "object",
        "description": whole["description"],
        "required": [field for field in whole["required"] if field == "spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": whole["properties"]["spec"],
            "status": found(status),
        },
    }
