"""Who is woken at once when a server's pods have changed, and who a little later.

A change of one pod means something to the adapters that are on it, and to those that are not where they ought to be.
To a thousand others it means another count in their status: woken together, they would keep the few waiting.
"""

import asyncio
from collections.abc import Callable, Iterable, Set
from typing import Any

from sluice_api.objects.lora_adapter import Strategy
from sluice_operator.cluster.protocol import Manifest

_PAUSE_SECONDS = 0.25
_AT_LEAST, _PART = 10, 100


def is_concerned(adapter: Manifest, pods: Set[str]) -> bool:
    """Whether a change of pods, by their uids, may have an adapter do something, as far as its status tells. Pure."""
    status: dict[str, Any] = adapter.get("status") or {}
    replicas = status.get("replicas") or {}
    strategy = (adapter["spec"].get("placement") or {}).get("strategy")
    resolved = status.get("resolved") or {}
    if (
        adapter["metadata"].get("deletionTimestamp")
        or strategy in (None, Strategy.ALL)
        or status.get("observedGeneration") != adapter["metadata"].get("generation")
        or not resolved.get("engineName")
        or resolved["engineName"] != status.get("engineName")
        or replicas.get("loaded") != replicas.get("desired")
        or status.get("podsOmitted")
    ):
        return True
    return any(each.get("podUid") in pods for each in status.get("pods") or ())


class Later:
    """Wakes few at a time: each once, however often it was given meanwhile.

    Args:
        wake: Has the object of a uid reconciled.
    """

    def __init__(self, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self._waiting: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def add(self, uids: Iterable[str]) -> None:
        """Has them woken."""
        self._waiting |= dict.fromkeys(uids)
        self._go_on()

    def forget(self, uid: str) -> None:
        """It is woken anyway, or gone."""
        self._waiting.pop(uid, None)

    def close(self) -> None:
        """Nobody is to be woken any more."""
        self._closed = True
        self._waiting.clear()
        if self._timer:
            self._timer.cancel()

    def _go_on(self) -> None:
        if self._timer is None and self._waiting and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._fire)

    def _fire(self) -> None:
        self._timer = None
        few = max(_AT_LEAST, len(self._waiting) // _PART)
        for uid in list(self._waiting)[:few]:
            del self._waiting[uid]
            self._wake(uid)
        self._go_on()
