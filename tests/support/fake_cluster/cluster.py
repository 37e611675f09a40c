"""The operator's port over the store, with failures on demand."""

import asyncio
import copy
from collections.abc import Callable, Collection, Mapping, Sequence

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource
from sluice_operator.reconciling.mirror import Mirror
from support.fake_cluster.store import START, Event, Key, Store, key_of


class FakeCluster(Store):
    """Objects by resource, namespace and name, and who owns which of their fields.

    Each change goes into `mirror` at once, as a quick watch stream would; see `Streams` for slower ones.

    Args:
        mirror: Hears of every change.
        before_write: Called with each write's verb and key before it is made; what it raises, the writer gets, and
            nothing is written.
        after_write: The same after the write: it took effect, and its reply is lost.
        before_read: Called with `get` or `list` before it.
        missing: Resources that are not installed.
        namespaces: Which there are; any when not given.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        mirror: Mirror | None = None,
        before_write: Callable[[str, Key], None] = lambda verb, key: None,
        *,
        after_write: Callable[[str, Key], None] = lambda verb, key: None,
        before_read: Callable[[str], None] = lambda verb: None,
        missing: Collection[Resource] = (),
        namespaces: Collection[str] | None = None,
        clock: Callable[[], float] = lambda: START,
    ) -> None:
        super().__init__(missing=missing, namespaces=namespaces, clock=clock)
        self.mirror = mirror or Mirror()
        self.before_write = before_write
        self.after_write = after_write
        self.before_read = before_read
        self.on_event = self.tell_mirror
        self.writes: list[tuple[str, Key]] = []
        """The operator's, whether they changed anything or not."""

    def tell_mirror(self, event: Event) -> None:
        """The mirror hears of a change."""
        if event.type == "DELETED":
            metadata = event.manifest["metadata"]
            self.mirror.drop(event.resource, metadata["uid"], int(metadata["resourceVersion"]))
        else:
            self.mirror.put(event.resource, event.manifest)

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        await asyncio.sleep(0)
        self.before_read("get")
        self.check_installed(resource)
        return copy.deepcopy(self.objects.get((resource, namespace, name)))

    async def list(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        await asyncio.sleep(0)
        self.before_read("list")
        self.check_installed(resource)
        return [
            copy.deepcopy(manifest)
            for (of, where, _), manifest in sorted(self.objects.items(), key=lambda item: item[0][1:])
            if of == resource
            and namespace in (None, where)
            and (labels or {}).items() <= (manifest["metadata"].get("labels") or {}).items()
        ]

    async def apply(self, resource: Resource, manifest: Manifest) -> Manifest:
        await asyncio.sleep(0)
        return self._write("apply", key_of(resource, manifest), lambda: self.applied(resource, manifest))

    async def apply_status(self, resource: Resource, manifest: Manifest) -> Manifest:
        await asyncio.sleep(0)
        key = key_of(resource, manifest)
        return self._write(
            "apply_status", key, lambda: self.applied(resource, manifest, subresource="status")
        )

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        await asyncio.sleep(0)
        key = (resource, namespace, name)
        self._write("delete", key, lambda: self.remove(resource, namespace, name, uid=uid) or {})

    def _write(self, verb: str, key: Key, make: Callable[[], Manifest]) -> Manifest:
        self.before_write(verb, key)
        self.check_installed(key[0])
        self.writes.append((verb, key))
        made = make()
        self.after_write(verb, key)
        return made
