"""What the streams tell: into the mirror, and on to the objects that it concerns."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from typing import Any

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource
from sluice_operator.cluster.watching import Scope
from sluice_operator.reconciling.kind import Kind
from sluice_operator.reconciling.labels import OWNER_UID
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.wakeups import Wakeups

_LOG = logging.getLogger(__name__)


class News:
    """Wakes an object for a change of itself, of its children, and of what its kind listens to.

    Args:
        forget: Told the uid of whatever is gone.
    """

    def __init__(
        self,
        kinds: Sequence[Kind[Any, Any]],
        mirror: Mirror,
        wakeups: Wakeups,
        forget: Callable[[str], None] = lambda uid: None,
    ) -> None:
        self._mirror = mirror
        self._wakeups = wakeups
        self._forget = forget
        self._of: dict[Resource, Kind[Any, Any]] = {kind.resource: kind for kind in kinds}
        self._listeners: dict[Resource, list[Kind[Any, Any]]] = defaultdict(list)
        for kind in kinds:
            for resource in kind.listens:
                self._listeners[resource].append(kind)
        # A kind that listens to another has to hear of what the operator itself has said of it.
        mirror.hearers.append(self._tell_listeners)

    def changed(self, resource: Resource, manifest: Manifest) -> None:
        """An object is new, or has changed; the operator's own writes come back too, and are no news
        to it."""
        if self._mirror.put(resource, manifest):
            self._wake(resource, manifest)

    def gone(self, resource: Resource, uid: str, version: int) -> None:
        """An object was gone at a version."""
        known = self._mirror.drop(resource, uid, version)
        if known is None:
            return
        self._wake(resource, known)
        self._tell_listeners(resource, known)
        self._forget(uid)
        if kind := self._of.get(resource):
            kind.forgotten(uid)
            self._wakeups.forget(uid)

    def listed(self, scope: Scope, uids: Set[str], version: int) -> None:
        """At a version there were these objects. Others are gone, also those that no stream has told of: what the
        operator itself has written is known before."""
        for manifest in self._mirror.all(scope.resource, scope.namespace):
            uid = manifest["metadata"]["uid"]
            if uid not in uids and scope.selects(manifest):
                self.gone(scope.resource, uid, version)

    def _wake(self, resource: Resource, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        if resource in self._of:
            self._wakeups.wake(metadata["uid"])
        if owner := (metadata.get("labels") or {}).get(OWNER_UID):
            self._wakeups.wake(owner)

    def _tell_listeners(self, resource: Resource, manifest: Manifest) -> None:
        for kind in self._listeners.get(resource, ()):
            try:
                for uid in kind.concerned(manifest, resource, self._mirror):
                    self._wakeups.wake(uid)
            except Exception:  # no stream may end for it, and no pass that has written
                _LOG.exception("%s cannot tell whom a %s concerns", kind.resource.kind, resource.kind)
