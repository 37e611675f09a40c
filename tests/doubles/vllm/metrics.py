"""The metrics that routing needs, by vLLM 0.32's names and labels."""

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from doubles.vllm.engine import Engine
from doubles.vllm.settings import Settings

#: Metric, documentation; by the engine's name for what it counts.
_COUNTERS = {
    "prefix_cache_queries": "Prefix cache queries, in terms of number of queried tokens.",
    "prefix_cache_hits": "Prefix cache hits, in terms of number of cached tokens.",
    "prompt_tokens": "Number of prefill tokens processed.",
    "generation_tokens": "Number of generation tokens processed.",
    "num_preemptions": "Cumulative number of preemption from the engine.",
}


class Metrics:
    """What `GET /metrics` tells of an engine."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._told: Tally[str] = Tally()
        self._registry = CollectorRegistry()
        own = {"model_name": settings.model, "engine": "0"}

        def gauge(name: str, documentation: str, **labels: str) -> Gauge:
            return Gauge(f"vllm:{name}", documentation, [*own, *labels], registry=self._registry)

        self._running = gauge(
            "num_requests_running", "Number of requests in model execution batches."
        ).labels(**own)
        self._waiting = gauge("num_requests_waiting", "Number of requests waiting to be processed.").labels(
            **own
        )
        by_reason = gauge(
            "num_requests_waiting_by_reason", "Number of waiting requests by reason.", reason=""
        )
        self._by_reason = {each: by_reason.labels(**own, reason=each) for each in ("capacity", "deferred")}
        self._usage = gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.").labels(**own)
        self._counters = {
            name: Counter(f"vllm:{name}", documentation, [*own], registry=self._registry).labels(**own)
            for name, documentation in _COUNTERS.items()
        }
        success = Counter(
            "vllm:request_success",
            "Count of successfully processed requests.",
            [*own, "finished_reason"],
            registry=self._registry,
        )
        self._success = {
            reason: success.labels(**own, finished_reason=reason)
            for reason in ("stop", "length", "abort", "error", "repetition")
        }
        self._lora = Gauge(
            "vllm:lora_requests_info",
            "Running stats on lora requests.",
            ["max_lora", "waiting_lora_adapters", "running_lora_adapters"],
            registry=self._registry,
        )
        cache = {
            "block_size": str(settings.block_size),
            "engine": "0",
            "num_gpu_blocks": str(settings.num_blocks),
        }
        Gauge(
            "vllm:cache_config_info",
            "Information of the LLMEngine CacheConfig",
            [*cache],
            registry=self._registry,
        ).labels(**cache).set(1)

    def note(self) -> None:
        """Notes which adapters' requests are in the engine; as in vLLM a name is under both labels, whichever it is,
        and the line that was set last, whose value is its time, is the one that holds."""
        jobs = [*self._engine.running, *self._engine.waiting]
        names = ",".join(dict.fromkeys(job.adapter.name for job in jobs if job.adapter))
        self._lora.labels(str(self._settings.max_loras), names, names).set_to_current_time()

    def finished(self, reason: str) -> None:
        """Counts a request that has ended."""
        self._success[reason].inc()

    def text(self) -> str:
        """The exposition."""
        engine = self._engine
        self._running.set(len(engine.running))
        self._waiting.set(len(engine.waiting))
        deferred = sum(job.deferred for job in engine.waiting)
        self._by_reason["deferred"].set(deferred)
        self._by_reason["capacity"].set(len(engine.waiting) - deferred)
        self._usage.set(engine.kv_usage)
        for name, counter in self._counters.items():
            counter.inc(engine.counts[name] - self._told[name])
            self._told[name] = engine.counts[name]
        return generate_latest(self._registry).decode()
