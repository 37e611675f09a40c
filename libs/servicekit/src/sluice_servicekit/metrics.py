"""Prometheus metrics every server has, and the endpoint that serves them."""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from sluice_servicekit import telemetry_names as names
from sluice_servicekit.addresses import parse_address

#: Seconds; dense where the budgets are.
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0)

RPC_SECONDS = Histogram(
    names.RPC_SECONDS, "Time to answer a call", ("method", "code"), buckets=LATENCY_BUCKETS
)
RPC_IN_FLIGHT = Gauge(names.RPC_IN_FLIGHT, "Calls being answered", ("method",))
SNAPSHOT_CHANGES = Counter(names.SNAPSHOT_CHANGES, "Snapshots taken over or refused", ("outcome",))


def serve(listen: str) -> None:
    """Serves `/metrics` from a thread of its own; does nothing when `listen` is empty."""
    if listen:
        host, port = parse_address(listen)
        start_http_server(port, addr=host)
