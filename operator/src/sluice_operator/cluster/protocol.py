"""The port to the API server. Errors are `sluice_servicekit.errors`."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sluice_operator.cluster.resources import Resource

FIELD_MANAGER = "sluice-operator"
"""Whose fields are the operator's, in every object's `managedFields`."""

NO_VERSION = "1"
"""The `resourceVersion` that no object has: what is applied with it is made, or refused with `Conflict`."""

Manifest = Mapping[str, Any]
"""An object as the API server writes it, in JSON's types."""


class Cluster(Protocol):
    """What the operator asks of an API server.

    Every method may raise `Unavailable`, `DeadlineExceeded`, `ResourceExhausted` (try again), `PermissionDenied` (a
    role is missing), `InvalidArgument` (the server refuses the object; its own words), `Conflict` (another writer came
    first) and `Unimplemented` (the server does not know the resource).
    """

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """The object, or none."""

    async def list(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """The objects that have all of the labels, of one namespace or of all."""

    async def apply(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Server-side apply under the operator's field manager, by force: the whole intent, and no field of others.

        With `metadata.resourceVersion` it fails with `Conflict` where the object is not at that version.
        """

    async def apply_status(self, resource: Resource, manifest: Manifest) -> Manifest:
        """The same for the status subresource."""

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        """Deletes in the background; not there, or there with another uid, is done."""
