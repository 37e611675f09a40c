"""The labels and annotations that the operator puts on what it makes."""

from collections.abc import Mapping
from typing import Any

from sluice_api.objects.base import SluiceObject

MANAGED_BY = "app.kubernetes.io/managed-by"
OPERATOR = "sluice-operator"
OWNER_UID = "sluice.dev/owner-uid"
"""Of the custom resource that a child was made for."""
MODEL_SERVER = "sluice.dev/model-server"
"""On pods: the name of the `ModelServer`, in the same namespace, whose replicas they are."""


def of_child(owner: SluiceObject, uid: str) -> dict[str, str]:
    """Labels of everything made for a custom resource."""
    name = owner.metadata.name[:63].rstrip("-.")
    return {
        MANAGED_BY: OPERATOR,
        OWNER_UID: uid,
        "app.kubernetes.io/part-of": "sluice",
        "app.kubernetes.io/instance": name,
    }


def owner_reference(owner: SluiceObject, uid: str) -> Mapping[str, object]:
    """What has the API server collect a child when its custom resource is gone."""
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.metadata.name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_owned(child: Mapping[str, Any], uid: str) -> bool:
    """True where a child was made for the custom resource that has a uid. Somebody may have taken its labels off: then
    its owner reference says so, and the labels come back."""
    metadata = child["metadata"]
    return (metadata.get("labels") or {}).get(OWNER_UID) == uid or any(
        each["uid"] == uid for each in metadata.get("ownerReferences") or ()
    )
