"""Objects, who owns their fields, and what people and other controllers do to them."""

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sluice_api import merge_patch
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    NETWORK_POLICIES,
    SECRETS,
    SERVICES,
    Resource,
)
from sluice_servicekit import errors
from support.fake_cluster import fields

Key = tuple[Resource, str, str]
Owners = dict[tuple[str, str], frozenset[fields.Path]]
"""Fields by manager and subresource."""

OPERATOR = "sluice-operator"
OTHERS = "others"
"""Who edits where no manager is named."""

_WITHOUT_STATUS = frozenset({CONFIG_MAPS, SECRETS, LEASES, EVENTS, NETWORK_POLICIES})
_WITHOUT_GENERATION = frozenset({CONFIG_MAPS, SECRETS, LEASES, EVENTS, SERVICES})
_IMMUTABLE: Mapping[Resource, tuple[fields.Path, ...]] = {DEPLOYMENTS: (("spec", "selector"),)}
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Event:
    """What a watch stream says."""

    type: str
    """`ADDED`, `MODIFIED` or `DELETED`."""
    resource: Resource
    manifest: Manifest


class Store:
    """What an API server keeps, and by which rules.

    Args:
        missing: Resources that are not installed.
        namespaces: Which there are; any when not given.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        missing: Collection[Resource] = (),
        namespaces: Collection[str] | None = None,
        clock: Callable[[], float] = lambda: START,
    ) -> None:
        self.missing = set(missing)
        self.namespaces = None if namespaces is None else set(namespaces)
        self.on_event: Callable[[Event], None] = lambda event: None
        self.objects: dict[Key, dict[str, Any]] = {}
        self.changes = 0
        """Of any object, by anybody."""
        self._owners: dict[Key, Owners] = {}
        self._gone: dict[str, Event] = {}
        self._ending: set[str] = set()
        self.version = 1
        """Of the last change."""
        self._clock = clock

    def applied(
        self,
        resource: Resource,
        manifest: Manifest,
        *,
        manager: str = OPERATOR,
        subresource: str = "",
        force: bool = True,
    ) -> Manifest:
        """Server-side apply by any manager.

        Raises:
            NotFound: the status of an object that is not there; a namespace that is not there.
            Conflict: another version than the one named, or fields of others without force.
            InvalidArgument: a field that cannot be changed.
        """
        key = key_of(resource, manifest)
        live = self.objects.get(key)
        if subresource and (live is None or resource in _WITHOUT_STATUS):
            raise errors.NotFound(f'{resource.plural} "{key[2]}" not found')
        _check_version(manifest, live, subresource)

        asked = fields.tree(resource, manifest)
        if subresource:
            asked = {"status": asked.get("status", {})}
        elif resource not in _WITHOUT_STATUS:
            asked.pop("status", None)

        before = fields.tree(resource, live or {})
        owners = dict(self._owners.get(key, {}))
        mine, me = fields.owned(asked), (manager, subresource)
        theirs = {who: paths for who, paths in owners.items() if who != me}
        after = fields.merged(before, asked)
        taken = frozenset(path for path in mine if fields.at(before, path) != fields.at(after, path))
        if not force and any(taken & paths for paths in theirs.values()):
            raise errors.Conflict("conflicts with other managers: " + ", ".join(who for who, _ in theirs))
        kept = frozenset[fields.Path]().union(mine, *theirs.values())
        after = fields.without(
            after, {path for path in owners.get(me, frozenset()) - mine if not fields.touches(kept, path)}
        )
        owners = {who: paths - taken for who, paths in theirs.items()} | {me: mine}
        return self._store(key, after, owners)

    def create(self, resource: Resource, manifest: Manifest, *, manager: str = OTHERS) -> Manifest:
        """What somebody else has made or replaced; a status that is not given stays."""
        key = key_of(resource, manifest)
        live = self.objects.get(key)
        after = fields.tree(resource, manifest)
        if live is not None and "status" in live and "status" not in manifest:
            after["status"] = fields.tree(resource, live)["status"]
        return self._edited(key, after, manager)

    def edit(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        manager: str = OTHERS,
    ) -> Manifest:
        """A JSON merge patch by somebody else, on any part of an object that is there."""
        key = (resource, namespace, name)
        after = merge_patch.merged(copy.deepcopy(self.objects[key]), dict(patch))
        return self._edited(key, fields.tree(resource, after), manager)

    def remove(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> Manifest | None:
        """Deletes; with finalizers the object stays until the last is taken off. What was there, if anything."""
        key = (resource, namespace, name)
        live = self.objects.get(key)
        if live is None or (uid and live["metadata"]["uid"] != uid):
            return None
        if not live["metadata"].get("finalizers"):
            return self._forget(key)
        if "deletionTimestamp" in live["metadata"]:
            return live
        manifest = copy.deepcopy(live)
        manifest["metadata"] |= {
            "deletionTimestamp": self._now(),
            "resourceVersion": str(self._next()),
            **(
                {"generation": live["metadata"]["generation"] + 1} if "generation" in live["metadata"] else {}
            ),
        }
        return self._keep(key, manifest, "MODIFIED")

    def add_finalizer(self, resource: Resource, namespace: str, name: str, finalizer: str) -> None:
        """As an operator's framework does when it first sees an object."""
        now = self.objects[resource, namespace, name]["metadata"].get("finalizers") or []
        if finalizer not in now:
            self.edit(resource, namespace, name, {"metadata": {"finalizers": [*now, finalizer]}})

    def drop_finalizer(self, resource: Resource, namespace: str, name: str, finalizer: str) -> None:
        """As an operator's framework does once its part of a deletion is done."""
        found = self.objects.get((resource, namespace, name))
        if found is not None:
            left = [each for each in found["metadata"].get("finalizers") or [] if each != finalizer]
            self.edit(resource, namespace, name, {"metadata": {"finalizers": left}})

    def delete_namespace(self, namespace: str) -> None:
        """Everything in it goes; what has finalizers later, and nothing new is let in meanwhile."""
        self._ending.add(namespace)
        for resource, where, name in tuple(self.objects):
            if where == namespace:
                self.remove(resource, namespace, name)

    def listed(self) -> Iterator[Event]:
        """What a watcher who lists everything anew learns: also that what it may have known is gone."""
        yield from self._gone.values()
        for (resource, _, _), manifest in self.objects.items():
            yield Event("ADDED", resource, copy.deepcopy(manifest))

    def _edited(self, key: Key, after: fields.Tree, manager: str) -> Manifest:
        before = fields.tree(key[0], self.objects.get(key, {}))
        made, removed = fields.changed(before, after)
        owners = {who: paths - made - removed for who, paths in self._owners.get(key, {}).items()}
        owners[manager, ""] = owners.get((manager, ""), frozenset()) | made
        return self._store(key, after, owners)

    def _store(self, key: Key, after: fields.Tree, owners: Owners) -> Manifest:
        resource, namespace, name = key
        live = self.objects.get(key)
        self._check(key, fields.tree(resource, live or {}), after)
        manifest = fields.manifest(after)
        if live is not None and fields.tree(resource, live) == after and self._owners.get(key) == owners:
            return copy.deepcopy(live)

        number = self._next()
        old = live["metadata"] if live is not None else {}
        metadata: dict[str, Any] = {
            **(manifest.pop("metadata", None) or {}),
            "name": name,
            "namespace": namespace,
            "uid": old.get("uid") or f"uid-{number}",
            "creationTimestamp": old.get("creationTimestamp") or self._now(),
            "resourceVersion": str(number),
        }
        if "deletionTimestamp" in old:
            metadata["deletionTimestamp"] = old["deletionTimestamp"]
        if resource not in _WITHOUT_GENERATION:
            metadata["generation"] = int(old.get("generation") or 0) + int(_intent(manifest) != _intent(live))
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **manifest}
        self._owners[key] = {who: paths for who, paths in owners.items() if paths}
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self.objects[key] = whole
            return self._forget(key)
        return self._keep(key, whole, "MODIFIED" if live is not None else "ADDED")

    def _check(self, key: Key, before: fields.Tree, after: fields.Tree) -> None:
        resource, namespace, name = key
        self.check_installed(resource)
        if key not in self.objects:
            if namespace in self._ending:
                raise errors.PermissionDenied(f"namespace {namespace} is being terminated")
            if self.namespaces is not None and namespace not in self.namespaces:
                raise errors.NotFound(f'namespaces "{namespace}" not found')
            return
        for path in _IMMUTABLE.get(resource, ()):
            if fields.at(before, path) != fields.at(after, path):
                raise errors.InvalidArgument(
                    f'{resource.kind} "{name}" is invalid: {".".join(path)}: field is immutable'
                )

    def check_installed(self, resource: Resource) -> None:
        """Raises `Unimplemented` where the server does not know a resource."""
        if resource in self.missing:
            raise errors.Unimplemented(f"the server has no {resource.plural}.{resource.group}")

    def _keep(self, key: Key, manifest: dict[str, Any], type_: str) -> Manifest:
        self.changes += 1
        self.objects[key] = manifest
        self.on_event(Event(type_, key[0], copy.deepcopy(manifest)))
        return copy.deepcopy(manifest)

    def _forget(self, key: Key) -> Manifest:
        self.changes += 1
        manifest = self.objects.pop(key)
        self._owners.pop(key, None)
        manifest["metadata"]["resourceVersion"] = str(self._next())
        event = self._gone[manifest["metadata"]["uid"]] = Event("DELETED", key[0], copy.deepcopy(manifest))
        self.on_event(event)
        self._collect(manifest["metadata"]["uid"])
        return manifest

    def _collect(self, gone: str) -> None:
        there = {manifest["metadata"]["uid"] for manifest in self.objects.values()}
        for (resource, namespace, name), child in tuple(self.objects.items()):
            owners = {each["uid"] for each in child["metadata"].get("ownerReferences") or []}
            if gone in owners and not owners & there:
                self.remove(resource, namespace, name)

    def _next(self) -> int:
        self.version += 1
        return self.version

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(resource: Resource, manifest: Manifest) -> Key:
    """Where an object lies."""
    return resource, manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _intent(manifest: Manifest | None) -> Manifest:
    # What somebody wants: neither how it stands nor what it is called.
    return {
        key: value
        for key, value in (manifest or {}).items()
        if key not in ("apiVersion", "kind", "metadata", "status")
    }


def _check_version(manifest: Manifest, live: Manifest | None, subresource: str) -> None:
    asked = manifest["metadata"]
    version, uid = asked.get("resourceVersion"), asked.get("uid")
    if live is None:
        if uid:  # while a version does not matter to what is made
            raise errors.Conflict(f"uid mismatch: the provided object specified uid {uid}")
        return
    if version and version != live["metadata"]["resourceVersion"]:
        raise errors.Conflict("the object has been modified; apply your changes to the latest version")
    if uid and uid != live["metadata"]["uid"] and not subresource:
        raise errors.InvalidArgument("metadata.uid: field is immutable")
