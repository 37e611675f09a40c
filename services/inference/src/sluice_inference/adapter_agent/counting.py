"""The agent's metrics."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge

from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import ServiceError

RESOLUTIONS = Counter(names.ADAPTER_RESOLUTIONS, "Adapters that came, by outcome", ("outcome",))
LOADS = Counter(names.ADAPTER_LOADS, "Calls to load or unload an adapter, by outcome", ("call", "outcome"))
USED_BYTES = Gauge(names.ADAPTER_BYTES, "Bytes that adapters take up")


@contextmanager
def counted(counter: Counter, *labels: str) -> Iterator[None]:
    """Counts a block by its outcome: `ok`, or the reason of its error."""
    try:
        yield
    except ServiceError as error:
        counter.labels(*labels, error.reason).inc()
        raise
    counter.labels(*labels, "ok").inc()
