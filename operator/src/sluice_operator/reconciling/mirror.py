"""What the watch streams have told: reading costs no call."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource


class Mirror:
    """The newest known state of every object that is watched."""

    def __init__(self) -> None:
        self._objects: dict[Resource, dict[str, Manifest]] = defaultdict(dict)

    def put(self, resource: Resource, manifest: Manifest) -> bool:
        """Takes an object over unless a newer state is known; also the operator's own writes, which the stream brings
        later. True where it says something new."""
        uid = str(manifest["metadata"]["uid"])
        known = self._objects[resource].get(uid)
        if known is not None and _version(known) >= _version(manifest):
            return False
        self._objects[resource][uid] = manifest
        return True

    def drop(self, resource: Resource, uid: str) -> Manifest | None:
        """Forgets an object that is gone; gives what was known of it."""
        return self._objects[resource].pop(uid, None)

    def by_uid(self, resource: Resource, uid: str) -> Manifest | None:
        """The object that has a uid."""
        return self._objects[resource].get(uid)

    def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """The object that has a name."""
        for manifest in self.all(resource, namespace):
            if manifest["metadata"]["name"] == name:
                return manifest
        return None

    def all(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Iterator[Manifest]:
        """The objects that have all of the labels, of one namespace or of all."""
        for manifest in tuple(self._objects[resource].values()):
            metadata = manifest["metadata"]
            own = metadata.get("labels") or {}
            if namespace in (None, metadata["namespace"]) and all(
                own.get(key) == value for key, value in (labels or {}).items()
            ):
                yield manifest


def _version(manifest: Manifest) -> int:
    # Opaque by the API's letter, comparable as integers in every API server, and by promise since Kubernetes 1.35.
    return int(manifest["metadata"].get("resourceVersion") or 0)
