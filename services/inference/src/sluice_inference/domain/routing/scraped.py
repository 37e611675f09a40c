"""What a vLLM says of itself in `/metrics`. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_RUNNING = "vllm:num_requests_running"
_WAITING = "vllm:num_requests_waiting"
_KV_USAGE = "vllm:kv_cache_usage_perc"
_ADAPTERS = "vllm:lora_requests_info"

#: All else, thousands of lines of histograms, is not looked at.
_STARTS = tuple(f"{name}{{" for name in (_RUNNING, _WAITING, _KV_USAGE, _ADAPTERS))


@dataclass(frozen=True, slots=True)
class Scraped:
    """One look."""

    requests: float = 0.0
    """Running and waiting."""
    kv_usage: float = 0.0
    """0 to 1; of the fullest engine where there are several."""
    adapters: frozenset[str] = frozenset()
    """Of those requests: vLLM counts each as running and as waiting, and tells nothing of idle ones."""
    slots: int = 0
    """0 where it serves no adapters, or has not yet."""


def read(text: str) -> Scraped | None:
    """What the text says; None where it is not vLLM's.

    Raises:
        ValueError: a line cannot be read.
    """
    requests, kv_usage, adapters, slots, latest, is_vllm = 0.0, 0.0, "", 0, -1.0, False
    for family in text_string_to_metric_families("\n".join(_lines(text)) + "\n"):
        for sample in family.samples:
            is_vllm = True
            if sample.name in (_RUNNING, _WAITING):
                requests += sample.value
            elif sample.name == _KV_USAGE:
                kv_usage = max(kv_usage, sample.value)
            elif (
                sample.name == _ADAPTERS and sample.value >= latest
            ):  # its value is the time that it was true
                latest, slots = sample.value, int(sample.labels.get("max_lora", "0") or 0)
                running, waiting = (
                    sample.labels.get(f"{state}_lora_adapters", "") for state in ("running", "waiting")
                )
                adapters = f"{running},{waiting}"
    if not is_vllm:
        return None
    names = frozenset(name.strip() for name in adapters.split(",") if name.strip())
    return Scraped(requests, kv_usage, names, slots)


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.startswith(_STARTS))
