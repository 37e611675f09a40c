"""A replica as this process knows it: what it has there, what it has heard, and what it makes of that."""

import random
from collections import Counter
from dataclasses import dataclass

from prometheus_client import Gauge

from sluice_api.snapshot import Endpoint
from sluice_inference.domain.model import Finish
from sluice_inference.domain.routing.breaker import Breaker
from sluice_inference.domain.routing.model import Ask, ReplicaView, Standing
from sluice_inference.domain.routing.recent import Recent
from sluice_inference.domain.routing.retrying import Failure
from sluice_inference.domain.routing.scraped import Scraped
from sluice_servicekit import telemetry_names as names

_IN_FLIGHT = Gauge(names.INFERENCE_IN_FLIGHT, "Requests at a replica", ("model_server", "replica"))
_STATE = Gauge(
    names.INFERENCE_REPLICA_STATE,
    "0 where a replica is asked, 1 where it is tried, 2 where it is left alone, 3 where it is ill, 4 where it drains",
    ("model_server", "replica"),
)
_ILL, _DRAINING = 3, 4

#: How the `system_fingerprint` of vLLM begins.
_VLLM = "vllm-"

#: Slots of a vLLM that has not told yet: what a `ModelServer` has by default.
_SLOTS = 4

#: Blocks of prompts that are remembered of each replica: half a million tokens.
_BLOCKS = 8192

#: Looks in a row that fail before a replica counts as ill.
_LOOKS = 2

#: Seconds that a busy replica is left alone, at most.
_LONGEST_BUSY = 10.0


@dataclass(frozen=True, slots=True)
class Room:
    """How many adapters a replica holds; 0 where that is not known."""

    slots: int = 0
    """Ready at once."""
    memory: int = 0


class Replica:
    """One replica of a model server.

    Args:
        room: For adapters, as its server's spec says.
    """

    def __init__(self, server: str, endpoint: Endpoint, room: Room) -> None:
        self.server = server
        self.endpoint = endpoint
        self.is_draining = endpoint.draining
        self.is_vllm = False
        """It has said so: it tells usage with each chunk if asked to, and of itself in `/metrics`."""
        self._in_flight = 0
        self._adapters: Counter[str] = Counter()
        self._slots = room.slots
        self._resident = Recent(room.slots or _SLOTS)
        self._warm = Recent(room.memory)
        self._prefixes = Recent(_BLOCKS)
        self._breaker = Breaker()
        self._busy_until = 0.0
        self._failed_looks = 0
        self._scraped = Scraped()
        self._others = 0.0
        self._stale_at = 0.0
        self._gauges = [gauge.labels(server, endpoint.name) for gauge in (_IN_FLIGHT, _STATE)]

    @property
    def name(self) -> str:
        """The pod's, or what its URL tells."""
        return self.endpoint.name

    @property
    def in_flight(self) -> int:
        """Requests that this process has there."""
        return self._in_flight

    def standing(self, now: float) -> Standing:
        """Its breaker's."""
        return self._breaker.standing(now)

    def view(self, now: float) -> ReplicaView:
        """What a choice goes by."""
        is_fresh = now < self._stale_at
        scraped = self._scraped
        return ReplicaView(
            self.name,
            self._in_flight,
            self._others if is_fresh else 0.0,
            scraped.kv_usage if is_fresh else 0.0,
            scraped.slots or self._slots,
            {*self._adapters, *scraped.adapters} if is_fresh else self._adapters.keys(),
            self._resident,
            self._warm,
            self._prefixes,
            self.endpoint.adapters or None,
            self._breaker.standing(now),
            self.is_draining,
            self._failed_looks < _LOOKS,
            now < self._busy_until,
        )

    def takes(self, ask: Ask) -> None:
        """A request is on its way there."""
        self._in_flight += 1
        self._breaker = self._breaker.sent()
        if ask.adapter:
            self._adapters[ask.adapter] += 1
            self._resident.use((ask.adapter,))
            self._warm.use((ask.adapter,))
        if ask.blocks:
            self._prefixes.use(ask.blocks)
        self._gauges[0].set(self._in_flight)

    def gives_back(self, ask: Ask) -> None:
        """It is there no longer."""
        self._in_flight -= 1
        self._breaker = self._breaker.left()
        if ask.adapter:
            self._adapters[ask.adapter] -= 1
            if not self._adapters[ask.adapter]:
                del self._adapters[ask.adapter]
        self._gauges[0].set(self._in_flight)

    def answered(self, finish: Finish) -> None:
        """A request was answered."""
        self.is_vllm = self.is_vllm or finish.system_fingerprint.startswith(_VLLM)
        self._breaker = self._breaker.succeeded()

    def lacks(self, adapter: str) -> None:
        """It does not serve an adapter that it was asked for."""
        self._resident.forget(adapter)
        self._warm.forget(adapter)

    def failed(self, failure: Failure, retry_after: float | None, now: float, *, may_open: bool) -> None:
        """A request failed."""
        if failure is Failure.BUSY:
            self._busy_until = now + min(_LONGEST_BUSY, retry_after or 1.0)
        elif failure in (Failure.LOST, Failure.FAILED):
            opens = may_open or failure is Failure.LOST
            self._breaker = self._breaker.failed(now, random.random(), may_open=opens)  # noqa: S311

    def looked(self, *, is_healthy: bool) -> None:
        """It was asked how it is."""
        self._failed_looks = 0 if is_healthy else self._failed_looks + 1

    def told(self, scraped: Scraped, now: float, keeps: float) -> None:
        """It has told of itself.

        Args:
            keeps: Seconds for which that holds.
        """
        self._scraped = scraped
        self._others = max(0.0, scraped.requests - self._in_flight)
        self._stale_at = now + keeps
        if scraped.slots:
            self._resident.most = scraped.slots
        self._resident.use(scraped.adapters)
        self._warm.use(scraped.adapters)

    def show(self, now: float) -> None:
        """Brings its metric up to date."""
        state = _DRAINING if self.is_draining else int(self.standing(now))
        self._gauges[1].set(_ILL if self._failed_looks >= _LOOKS and not self.is_draining else state)

    def forget(self) -> None:
        """Ends its metrics: it has gone."""
        for gauge in (_IN_FLIGHT, _STATE):
            gauge.remove(self.server, self.name)
