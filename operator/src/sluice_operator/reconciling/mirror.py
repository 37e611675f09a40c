"""What the watch streams have told: reading costs no call."""

import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource
from sluice_operator.reconciling.labels import OWNER_UID

_GRAVES = 4096


class Mirror:
    """The newest known state of every object that is watched, without its `managedFields`."""

    def __init__(self) -> None:
        self._objects: dict[Resource, dict[str, Manifest]] = defaultdict(dict)
        self._names: dict[tuple[Resource, str, str], str] = {}
        self._owned: dict[tuple[Resource, str], set[str]] = defaultdict(set)
        self._editions: Counter[Resource] = Counter()
        #: Told of everything new, the operator's own writes included.
        self.hearers: list[Callable[[Resource, Manifest], None]] = []
        #: At which version an object was gone: what is older comes too late.
        self._graves: OrderedDict[str, int] = OrderedDict()

    def put(self, resource: Resource, manifest: Manifest) -> bool:
        """Takes an object over unless a newer state is known; also the operator's own writes, which the stream brings
        later. True where it says something new."""
        uid = str(manifest["metadata"]["uid"])
        known = self._objects[resource].get(uid)
        if known is not None and _version(known) >= _version(manifest):
            return False
        if known is None and self._graves.get(uid, -1) >= _version(manifest):
            return False
        if known is not None:
            self._unlist(resource, known)
        manifest = _slim(manifest)
        self._objects[resource][uid] = manifest
        self._editions[resource] += 1
        self._names[_name(resource, manifest)] = uid
        if owner := _owner(manifest):
            self._owned[resource, owner].add(uid)
        for hear in self.hearers:
            hear(resource, manifest)
        return True

    def drop(self, resource: Resource, uid: str, version: int = 0) -> Manifest | None:
        """Forgets an object that is gone, for good where it is said at which version; gives what was known of it."""
        known = self._objects[resource].get(uid)
        if known is not None and version and _version(known) > version:
            return None
        if version:
            self._graves[uid] = version
            while len(self._graves) > _GRAVES:
                self._graves.popitem(last=False)
        if known is not None:
            del self._objects[resource][uid]
            self._editions[resource] += 1
            self._unlist(resource, known)
        return known

    def by_uid(self, resource: Resource, uid: str) -> Manifest | None:
        """The object that has a uid."""
        return self._objects[resource].get(uid)

    def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """The object that has a name."""
        return self._objects[resource].get(self._names.get((resource, namespace, name), ""))

    def owned(self, resource: Resource, owner_uid: str) -> tuple[Manifest, ...]:
        """The objects whose label names a custom resource as their owner."""
        uids = self._owned.get((resource, owner_uid), ())
        return tuple(self._objects[resource][uid] for uid in sorted(uids))

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

    def uids(self, resource: Resource) -> Set[str]:
        """Of the objects that there are, also of those that come later."""
        return self._objects[resource].keys()

    def edition(self, resource: Resource) -> int:
        """Another one after each change: while it is the same, nobody need look again."""
        return self._editions[resource]

    def count(self, resource: Resource) -> int:
        """How many objects there are."""
        return len(self._objects[resource])

    def _unlist(self, resource: Resource, known: Manifest) -> None:
        uid = known["metadata"]["uid"]
        if self._names.get(_name(resource, known)) == uid:
            del self._names[_name(resource, known)]
        if owner := _owner(known):
            uids = self._owned[resource, owner]
            uids.discard(uid)
            if not uids:
                del self._owned[resource, owner]


def _slim(manifest: Manifest) -> Manifest:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    slim: Manifest = _interned({**manifest, "metadata": metadata})
    return slim


def _interned(value: Any) -> Any:
    """The same, with one string for each key of all objects: a parsed object has its own, a third of its memory."""
    if isinstance(value, dict):
        return {sys.intern(key): _interned(each) for key, each in value.items()}
    return [_interned(each) for each in value] if isinstance(value, list) else value


def _name(resource: Resource, manifest: Manifest) -> tuple[Resource, str, str]:
    return resource, manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _owner(manifest: Manifest) -> str:
    return str((manifest["metadata"].get("labels") or {}).get(OWNER_UID) or "")


def _version(manifest: Manifest) -> int:
    # Opaque by the API's letter, comparable as integers in every API server, and by promise since Kubernetes 1.35.
    return int(manifest["metadata"].get("resourceVersion") or 0)
