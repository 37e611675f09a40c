"""Sends what is not so already, and nothing else."""

from typing import Any

from sluice_operator import metrics
from sluice_operator.cluster.protocol import NO_VERSION, Cluster, Manifest
from sluice_operator.cluster.resources import Resource
from sluice_operator.reconciling.comparing import digest, is_so, marked, settled
from sluice_operator.reconciling.labels import OWNER_UID, is_owned
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.troubles import NAME_TAKEN
from sluice_servicekit import errors


class OutdatedError(errors.Conflict):
    """A status was worked out from one that is no longer the newest: a write of before had taken effect, and its reply
    was lost. The mirror has the newest now; what it says must not be undone."""


class Applier:
    """Writes through to the mirror, so that an own write is no news when the stream brings it."""

    def __init__(self, cluster: Cluster, mirror: Mirror) -> None:
        self._cluster = cluster
        self._mirror = mirror
        #: By uid, where an apply left the server's words for a value other than ours: intent and live, as digests.
        self._settled: dict[str, tuple[str, str]] = {}

    async def apply(self, resource: Resource, manifest: Manifest, owner_uid: str) -> Manifest:
        """Has a child be as it ought to be; gives it as the API server has it.

        Raises:
            FailedPrecondition: its name is another's, who is not touched.
        """
        intent = marked(manifest)
        metadata = manifest["metadata"]
        live = self._mirror.get(resource, metadata["namespace"], metadata["name"])
        if live is None:
            # Only children of ours are mirrored.
            live = await self._cluster.get(resource, metadata["namespace"], metadata["name"])
        if live is not None:
            self._check_owner(resource, live, owner_uid)
            if is_so(intent, live) or self._is_settled(live["metadata"]["uid"], intent, live):
                return live
        reply = await self._cluster.apply(resource, _only_new(intent) if live is None else intent)
        metrics.WRITES.labels(resource.kind, "apply").inc()
        self._note(reply["metadata"]["uid"], intent, reply)
        self._mirror.put(resource, reply)
        return self._mirror.by_uid(resource, reply["metadata"]["uid"]) or reply

    async def apply_status(self, resource: Resource, body: Manifest, status: dict[str, Any]) -> bool:
        """Writes a custom resource's status where it says something new; true where it did."""
        metadata = body["metadata"]
        uid = metadata["uid"]
        intent = {"status": status}
        live = {"status": body.get("status")}
        if status == live["status"] or self._is_settled(uid, intent, live):
            return False
        try:
            reply = await self._write_status(resource, body, status)
        except errors.NotFound:
            return False
        if reply is None:
            return False
        metrics.WRITES.labels(resource.kind, "apply_status").inc()
        self._note(uid, intent, reply)
        if _but_status(reply) == _but_status(body):
            self._mirror.put(resource, reply)
        # else somebody has changed it meanwhile: the stream is to bring that as news
        return True

    async def _write_status(
        self, resource: Resource, body: Manifest, status: dict[str, Any]
    ) -> Manifest | None:
        """None where an object that has its name by now is another. The API server itself asks for no uid here, but
        refuses what was meant for another version."""
        metadata = body["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        named = {"apiVersion": resource.api_version, "kind": resource.kind}

        async def write(version: str) -> Manifest:
            target = {"name": name, "namespace": namespace, "resourceVersion": version}
            return await self._cluster.apply_status(resource, {**named, "metadata": target, "status": status})

        try:
            return await write(metadata["resourceVersion"])
        except errors.Conflict:
            now = await self._cluster.get(resource, namespace, name)
        if now is None or now["metadata"]["uid"] != metadata["uid"]:
            return None
        if now.get("status") != body.get("status"):
            self._mirror.put(resource, now)
            raise OutdatedError(f"{resource.kind} {namespace}/{name} has a newer status")
        return await write(now["metadata"]["resourceVersion"])

    def forget(self, uid: str) -> None:
        """An object is gone."""
        self._settled.pop(uid, None)

    def _is_settled(self, uid: str, intent: Manifest, live: Manifest) -> bool:
        known = self._settled.get(uid)
        return known is not None and known == (digest(intent), settled(intent, live))

    def _note(self, uid: str, intent: Manifest, reply: Manifest) -> None:
        if is_so(intent, reply):
            self._settled.pop(uid, None)
        else:
            self._settled[uid] = (digest(intent), settled(intent, reply))

    def _check_owner(self, resource: Resource, live: Manifest, owner_uid: str) -> None:
        if not is_owned(live, owner_uid):
            metadata = live["metadata"]
            owner = (metadata.get("labels") or {}).get(OWNER_UID)
            name = f"{resource.kind} {metadata['namespace']}/{metadata['name']}"
            whose = f"belongs to the object with uid {owner}" if owner else "was not made by the operator"
            raise errors.FailedPrecondition(
                f"{name} {whose} and is left alone; rename or delete one of the two", reason=NAME_TAKEN
            )


def _but_status(manifest: Manifest) -> Manifest:
    metadata = {
        key: value
        for key, value in manifest["metadata"].items()
        if key not in ("resourceVersion", "managedFields")
    }
    return {**manifest, "metadata": metadata, "status": None}


def _only_new(intent: Manifest) -> Manifest:
    """Refused with `Conflict` where somebody has made an object of that name meanwhile: no object has this version."""
    return {**intent, "metadata": {**intent["metadata"], "resourceVersion": NO_VERSION}}
