"""How many vLLM pods there are, and how they are replaced."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model
from sluice_api.objects.cel import Rule, exactly_one_of
from sluice_api.objects.rules import exactly_one

MetricName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_:][A-Za-z0-9_:./-]*$")]


class CpuTarget(Model):
    """The CPU that vLLM's container uses, for vLLM on processors; of GPUs it says nothing."""

    utilization: Annotated[int, Field(ge=1, le=1000)] = 80
    """Percent of what is requested."""


class MetricTarget(Model):
    """A metric of the pods that the cluster's custom metrics API has, such as Prometheus Adapter's."""

    name: MetricName
    average: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Of all pods."""


class QueueTarget(Model):
    """Requests that wait in vLLM, as Prometheus has them; needs KEDA."""

    prometheus: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]
    """The URL of Prometheus."""
    waiting: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    """Requests that may wait for each pod."""
    query: Annotated[str, Field(max_length=4096)] = ""
    """Another query for what waits; the sum of `vllm:num_requests_waiting` of the server's pods when empty."""


class Autoscaling(Model):
    """A number of pods that follows the load; exactly one of `cpu`, `metric` and `queue`."""

    min_replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """0 needs `queue.query`: pods that are not there have no requests waiting."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    cpu: CpuTarget | None = None
    metric: MetricTarget | None = None
    queue: QueueTarget | None = None
    scale_down_after: Annotated[Duration, Field(le=3600.0)] = 300.0
    """How long fewer pods must have been enough before one goes."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of("cpu", "metric", "queue"),
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "minReplicas must not be more than maxReplicas",
            "_ordered",
            "minReplicas",
        ),
        Rule(
            "self.minReplicas > 0 || (has(self.queue) && self.queue.query != '')",
            "minReplicas 0 needs queue.query, which counts requests where there are no pods",
            "_can_return",
            "minReplicas",
        ),
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self, "cpu", "metric", "queue")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("minReplicas must not be more than maxReplicas")
        return self

    @model_validator(mode="after")
    def _can_return(self) -> Self:
        if self.min_replicas == 0 and not (self.queue is not None and self.queue.query):
            raise ValueError("minReplicas 0 needs queue.query, which counts requests where there are no pods")
        return self


class Rollout(Model):
    """How pods are replaced when their template changes."""

    max_surge: Annotated[int, Field(ge=0, le=1000)] = 0
    """Pods above the number; each needs its GPUs."""
    max_unavailable: Annotated[int, Field(ge=0, le=1000)] = 1
    """Pods that may be missing."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.maxSurge > 0 || self.maxUnavailable > 0",
            "one of maxSurge, maxUnavailable must be more than 0",
            "_moves",
        ),
    )

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.max_surge == 0 and self.max_unavailable == 0:
            raise ValueError("one of maxSurge, maxUnavailable must be more than 0")
        return self


class Disruption(Model):
    """What may happen to pods when nodes are drained."""

    max_unavailable: Annotated[int, Field(ge=1, le=1000)] = 1
    """Pods that may be missing because of it. Of a server with one pod nothing is promised."""
