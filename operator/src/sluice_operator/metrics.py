"""What the operator counts."""

from prometheus_client import Counter, Gauge, Histogram

from sluice_servicekit import telemetry_names as names

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

PASSES = Counter(names.RECONCILE_PASSES, "Passes over objects", ("kind", "outcome"))
SECONDS = Histogram(names.RECONCILE_SECONDS, "Time that a pass took", ("kind",), buckets=_SECONDS)
FAILING = Gauge(names.RECONCILE_FAILURES, "Objects whose last pass failed", ("kind",))
WAKEUP_SECONDS = Histogram(
    names.RECONCILE_WAKEUP_SECONDS, "Time from a change to the pass that looks at it", buckets=_SECONDS
)
OBJECTS = Gauge(names.OPERATOR_OBJECTS, "Objects in the mirror", ("kind",))
LEADER = Gauge(names.OPERATOR_LEADER, "1 while this process does the work, 0 while it stands by")
WRITES = Counter(names.OPERATOR_WRITES, "What was sent to the API server", ("kind", "verb"))
SILENCE = Gauge(names.OPERATOR_SILENCE, "The longest time that a watch stream has told nothing")
