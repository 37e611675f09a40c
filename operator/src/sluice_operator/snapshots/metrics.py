"""What is counted of the snapshot."""

from collections import Counter as Count
from collections.abc import Iterable

from prometheus_client import Gauge, Histogram

from sluice_api.tolerant import Standing, State
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.snapshot_server import WatcherState

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SECONDS = Histogram(
    names.OPERATOR_SNAPSHOT_SECONDS, "Time that a compilation of all objects took", buckets=_SECONDS
)
BYTES = Gauge(names.OPERATOR_SNAPSHOT_BYTES, "Size of the snapshot that is served")
OBJECTS = Gauge(names.OPERATOR_SNAPSHOT_OBJECTS, "Objects by how they are in the snapshot", ("state",))
WATCHERS = Gauge(
    names.OPERATOR_SNAPSHOT_WATCHERS,
    "Connected processes by whether they run the snapshot",
    ("service", "state"),
)


def count_objects(standings: Iterable[Standing]) -> None:
    """Objects of each state."""
    found = Count(standing.state for standing in standings)
    for state in State:
        OBJECTS.labels(state.value).set(found[state])


def count_watchers(digest: str, watchers: Iterable[WatcherState]) -> None:
    """`current`, `behind`, or `refusing` processes of each service."""
    WATCHERS.clear()
    for watcher in watchers:
        behind = "refusing" if watcher.refused == digest else "behind"
        WATCHERS.labels(watcher.service, "current" if watcher.accepted == digest else behind).inc()
