"""An API server in memory: what the operator's port promises, with failures on demand."""

import asyncio
import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource
from sluice_operator.reconciling.mirror import Mirror

Key = tuple[Resource, str, str]


class FakeCluster:
    """Objects by resource, namespace and name. Each write goes into `mirror` at once, as a quick watch stream would.

    Args:
        mirror: Hears of every change.
        before_write: Called with each write's verb and key before it is made; what it raises, the writer gets.
    """

    def __init__(
        self, mirror: Mirror | None = None, before_write: Callable[[str, Key], None] = lambda verb, key: None
    ) -> None:
        self.mirror = mirror or Mirror()
        self.before_write = before_write
        self.objects: dict[Key, dict[str, Any]] = {}
        self.writes: list[tuple[str, Key]] = []
        self._numbers = itertools.count(1)

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        await asyncio.sleep(0)
        found = self.objects.get((resource, namespace, name))
        return copy.deepcopy(found)

    async def list(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        await asyncio.sleep(0)
        return [
            copy.deepcopy(manifest)
            for (of, where, _), manifest in sorted(self.objects.items(), key=lambda item: item[0][1:])
            if of == resource
            and namespace in (None, where)
            and (labels or {}).items() <= (manifest["metadata"].get("labels") or {}).items()
        ]

    async def apply(self, resource: Resource, manifest: Manifest) -> Manifest:
        return await self._write("apply", resource, manifest, lambda old: {**_kept(old), **manifest})

    async def apply_status(self, resource: Resource, manifest: Manifest) -> Manifest:
        return await self._write(
            "apply_status", resource, manifest, lambda old: {**old, "status": manifest["status"]}
        )

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        await asyncio.sleep(0)
        key = (resource, namespace, name)
        found = self.objects.get(key)
        if found is None or (uid and found["metadata"]["uid"] != uid):
            return
        self.before_write("delete", key)
        self.writes.append(("delete", key))
        del self.objects[key]
        self.mirror.drop(resource, found["metadata"]["uid"])

    def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """What somebody else has made or changed; not counted among `writes`."""
        key = _key(resource, manifest)
        return self._store(key, dict(manifest), self.objects.get(key, {}))

    async def _write(
        self, verb: str, resource: Resource, manifest: Manifest, merge: Callable[[Manifest], Manifest]
    ) -> Manifest:
        await asyncio.sleep(0)
        key = _key(resource, manifest)
        self.before_write(verb, key)
        self.writes.append((verb, key))
        old = self.objects.get(key, {})
        return self._store(key, dict(merge(old)), old)

    def _store(self, key: Key, manifest: dict[str, Any], old: Mapping[str, Any]) -> Manifest:
        number = next(self._numbers)
        before = old.get("metadata") or {}
        changed = old.get("spec") != manifest.get("spec")
        manifest = copy.deepcopy(manifest)
        manifest["metadata"] = {
            **(before if "status" in manifest and not changed else {}),
            **manifest["metadata"],
            "uid": before.get("uid") or f"uid-{number}",
            "creationTimestamp": before.get("creationTimestamp") or "2026-01-01T00:00:00Z",
            "generation": int(before.get("generation") or 0) + int(changed),
            "resourceVersion": str(number),
        }
        self.objects[key] = manifest
        self.mirror.put(key[0], copy.deepcopy(manifest))
        return copy.deepcopy(manifest)


def _key(resource: Resource, manifest: Manifest) -> Key:
    return resource, manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _kept(old: Manifest) -> dict[str, Any]:
    return {"status": old["status"]} if "status" in old else {}
