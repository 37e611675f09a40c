"""What reading adds to the metrics."""

from prometheus_client import Counter, Histogram

from sluice_servicekit import telemetry_names as names

BATCH_PAIRS = Histogram(
    names.RERANK_BATCH_PAIRS,
    "Passages that were read in one go",
    ("model",),
    buckets=(1, 2, 4, 8, 16, 32),
)
BATCH_REQUESTS = Histogram(
    names.RERANK_BATCH_REQUESTS,
    "Requests whose passages were read in one go",
    ("model",),
    buckets=(1, 2, 4, 8, 16),
)
QUEUE_SECONDS = Histogram(
    names.RERANK_QUEUE_SECONDS,
    "Time until the first passage of a request was read",
    ("model",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
PAIR_SECONDS = Histogram(
    names.RERANK_PAIR_SECONDS,
    "Time of a passage",
    ("model",),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
RESTARTS = Counter(names.RERANK_WORKER_RESTARTS, "Worker processes started in place of dead ones", ("model",))
