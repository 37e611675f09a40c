"""One pass: gather → plan → apply → prune → act → observe → status."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sluice_api.objects.base import SluiceObject
from sluice_operator import metrics
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.reconciling import conditions, troubles
from sluice_operator.reconciling.announcing import Announcer
from sluice_operator.reconciling.applying import Applier, OutdatedError
from sluice_operator.reconciling.kind import Item, Kind, Leaving, Plan
from sluice_operator.reconciling.labels import MANAGED_BY, OPERATOR
from sluice_operator.reconciling.mirror import Mirror
from sluice_servicekit import errors

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pass ended."""

    failed: bool = False
    """The next one comes sooner, and later with each failure in a row."""
    again_in: float | None = None
    """Seconds; the usual interval where unset."""
    name: str = "done"
    """`done`, `invalid`, `retried` or `stalled`; `gone` or `leaving` where there was nothing to do."""


class Reconciler:
    """Runs passes for objects of any kind.

    Args:
        turns: Bounds how many passes there are at a time.
        announcer: Writes Events; none where unset.
    """

    def __init__(
        self,
        cluster: Cluster,
        mirror: Mirror,
        clock: Callable[[], float] = time.time,
        *,
        turns: AbstractAsyncContextManager[Any] | None = None,
        announcer: Announcer | None = None,
    ) -> None:
        self._applier = Applier(cluster, mirror)
        self._cluster = cluster
        self._mirror = mirror
        self._clock = clock
        self._turns = turns or nullcontext()
        self._announcer = announcer
        self.last_pass = time.monotonic()
        """When a pass last ended, by the monotonic clock."""
        self._failing: dict[str, str] = {}
        """By uid, the kinds of the objects whose last pass failed."""

    def forget(self, uid: str) -> None:
        """An object is gone: what is kept of it in memory can go."""
        self._applier.forget(uid)
        self._count_failing(uid, "", failed=False)

    async def run_once(self, kind: Kind[Any, Any], uid: str) -> Outcome:
        """One pass; never raises but for cancellation."""
        async with self._turns:
            body = self._mirror.by_uid(kind.resource, uid)
            if body is None:
                return Outcome(name="gone")
            if body["metadata"].get("deletionTimestamp"):
                return Outcome(name="leaving")
            with metrics.SECONDS.labels(kind.resource.kind).time():
                outcome = await self._guarded(kind, body)
            metrics.PASSES.labels(kind.resource.kind, outcome.name).inc()
            self._count_failing(uid, kind.resource.kind, failed=outcome.name != "done")
            self.last_pass = time.monotonic()
            return outcome

    async def leave_once(self, kind: Kind[Any, Any], uid: str) -> Leaving:
        """One pass of a deletion; never raises but for cancellation.

        An object that cannot be read is let go: this version cannot have made anything of it.
        """
        async with self._turns:
            body = self._mirror.by_uid(kind.resource, uid)
            if body is None:
                return Leaving(done=True)
            if not body["metadata"].get("deletionTimestamp"):
                return Leaving(done=False)  # the mirror is behind, and wakes who waits when it no longer is
            leaving = await self._leave(kind, body)
            name = kind.resource.kind
            metrics.PASSES.labels(name, "left" if leaving.done else "leaving").inc()
            self._count_failing(uid, name, failed=leaving.failed)
            self.last_pass = time.monotonic()
            return leaving

    async def _leave(self, kind: Kind[Any, Any], body: Manifest) -> Leaving:
        try:
            item = _read(kind, body)
            leaving = await kind.leave(item, await kind.gather(item))
            if leaving.status is not None:
                before = body.get("status") or {}
                status = conditions.after_pass(leaving.status, before, item.generation, self._clock())
                await self._tell(kind, body, status)
        except troubles.Unreadable as error:
            _LOG.warning("%s is let go: %s", _named(body), error)
            return Leaving(done=True)
        except OutdatedError as error:
            _LOG.info("%s; looking again", error.message)
            return Leaving(done=False, again_in=0.0)
        except Exception as error:
            trouble = await self._in_trouble(kind, body, error)
            return Leaving(done=False, failed=True, again_in=trouble.retry_after)
        return leaving

    async def _guarded(self, kind: Kind[Any, Any], body: Manifest) -> Outcome:
        try:
            return await self._pass(kind, body)
        except OutdatedError as error:
            _LOG.info("%s; looking again", error.message)
            return Outcome(again_in=0.0, name="retried")
        except Exception as error:
            trouble = await self._in_trouble(kind, body, error)
        if trouble.invalid:
            return Outcome(name="invalid")
        name = "stalled" if trouble.stalled else "retried"
        return Outcome(failed=True, again_in=trouble.retry_after or None, name=name)

    async def _pass(self, kind: Kind[Any, Any], body: Manifest) -> Outcome:
        item = _read(kind, body)
        context = await kind.gather(item)
        plan = kind.plan(item, context)
        children = [
            await self._applier.apply(resource, manifest, item.uid) for resource, manifest in plan.manifests
        ]
        await self._prune(kind, item, plan)
        await kind.act(item, context, plan)
        observation = kind.observe(item, context, children)
        before = body.get("status") or {}
        status = conditions.after_pass(observation.status, before, item.generation, self._clock())
        await self._tell(kind, body, status)
        return Outcome(again_in=observation.again_in)

    async def _prune(self, kind: Kind[Any, Any], item: Item[Any], plan: Plan) -> None:
        wanted = {(resource, manifest["metadata"]["name"]) for resource, manifest in plan.manifests}
        for resource in kind.applies:
            for child in self._mirror.owned(resource, item.uid):
                metadata = child["metadata"]
                ours = metadata["labels"].get(MANAGED_BY) == OPERATOR and not _of_another(metadata, item.uid)
                if not ours or metadata.get("deletionTimestamp") or (resource, metadata["name"]) in wanted:
                    continue
                metrics.WRITES.labels(resource.kind, "delete").inc()
                await self._cluster.delete(
                    resource, metadata["namespace"], metadata["name"], uid=metadata["uid"]
                )

    async def _in_trouble(self, kind: Kind[Any, Any], body: Manifest, error: Exception) -> troubles.Trouble:
        trouble = troubles.of(error)
        if trouble.unknown:
            _LOG.exception("a pass over %s failed", _named(body), exc_info=error)
        else:
            _LOG.warning("a pass over %s failed: %s: %s", _named(body), trouble.reason, trouble.message)
        status = conditions.after_trouble(
            trouble, body.get("status") or {}, int(body["metadata"].get("generation") or 0), self._clock()
        )
        try:
            await self._tell(kind, body, status)
        except errors.ServiceError as unsaid:
            _LOG.warning("nor could it be said in its status: %s", unsaid.message)
        return trouble

    def _count_failing(self, uid: str, name: str, *, failed: bool) -> None:
        if failed and uid not in self._failing:
            self._failing[uid] = name
            metrics.FAILING.labels(name).inc()
        elif not failed and uid in self._failing:
            metrics.FAILING.labels(self._failing.pop(uid)).dec()

    async def _tell(self, kind: Kind[Any, Any], body: Manifest, status: dict[str, Any]) -> None:
        if await self._applier.apply_status(kind.resource, body, status) and self._announcer is not None:
            await self._announcer.announce(body, body.get("status") or {}, status, self._clock())


def parse(model: type[SluiceObject], body: Manifest) -> Item[Any]:
    """A custom resource into what a pass works on.

    Raises:
        ValidationError: the API server has let through what the model does not.
    """
    metadata = body["metadata"]
    deleted = metadata.get("deletionTimestamp")
    return Item(
        object=model.model_validate(dict(body)),
        uid=str(metadata["uid"]),
        generation=int(metadata.get("generation") or 0),
        deleted_at=datetime.fromisoformat(deleted).timestamp() if deleted else None,
    )


def _of_another(metadata: Manifest, uid: str) -> bool:
    """True where another object controls it: some controllers, such as KEDA's, copy labels to what they make."""
    owners = metadata.get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") != uid for owner in owners)


def _read(kind: Kind[Any, Any], body: Manifest) -> Item[Any]:
    try:
        return parse(kind.model, body)
    except ValidationError as error:
        raise troubles.Unreadable(error) from error


def _named(body: Manifest) -> str:
    metadata = body["metadata"]
    return f"{body.get('kind', 'object')} {metadata['namespace']}/{metadata['name']}"


__all__ = ["Outcome", "Reconciler", "ValidationError", "parse"]
