"""Kubernetes Events, for people: one for each condition that turns, and few."""

import logging
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.cluster.resources import EVENTS
from sluice_operator.reconciling import conditions
from sluice_operator.reconciling.labels import OPERATOR
from sluice_servicekit import errors

_LOG = logging.getLogger(__name__)

_EVENTS, _SECONDS = 5, 60.0
_OBJECTS = 1024
_NOTE = 1024


class Announcer:
    """Writes Events, at most five for an object and minute.

    Args:
        instance: This process's name.
    """

    def __init__(self, cluster: Cluster, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance[:128]
        self._lately: OrderedDict[str, deque[float]] = OrderedDict()

    async def announce(
        self, body: Manifest, before: Mapping[str, Any], after: Mapping[str, Any], now: float
    ) -> None:
        """Tells of the conditions that have turned from one status to the next; never fails."""
        for turn in conditions.turns(before, after):
            if not self._may(body["metadata"]["uid"], now):
                return
            try:
                await self._cluster.apply(EVENTS, self._event(body, turn, now))
            except errors.ServiceError as error:
                _LOG.warning("an Event could not be written: %s", error.message)

    def _may(self, uid: str, now: float) -> bool:
        lately = self._lately.setdefault(uid, deque(maxlen=_EVENTS))
        self._lately.move_to_end(uid)
        if len(self._lately) > _OBJECTS:
            self._lately.popitem(last=False)
        if len(lately) == _EVENTS and now - lately[0] < _SECONDS:
            return False
        lately.append(now)
        return True

    def _event(self, body: Manifest, turn: conditions.Turn, now: float) -> Manifest:
        metadata = body["metadata"]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {
                "name": f"{metadata['name'][:200]}.{uuid.uuid4().hex[:16]}",
                "namespace": metadata["namespace"],
            },
            "eventTime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"sluice.dev/{OPERATOR}",
            "reportingInstance": self._instance,
            "action": turn.condition["type"],
            "reason": turn.condition["reason"][:128],
            "note": turn.condition["message"][:_NOTE],
            "type": "Warning" if turn.worse else "Normal",
            "regarding": {
                "apiVersion": body["apiVersion"],
                "kind": body["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
        }
