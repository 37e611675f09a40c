"""When what failed is tried again."""

from hashlib import sha256

from sluice_api.objects.lora_adapter import Load

_MOST_DOUBLINGS = 32


def fraction(*parts: str) -> float:
    """A number from 0 up to 1 that is always the same for the same words: what stands in for chance."""
    digest = sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def delay(load: Load, attempts: int, *parts: str) -> float:
    """Seconds to wait after so many failed attempts: doubled each time up to `maxBackoff`, and of that between half
    and all, so that pods that fail together do not come again together."""
    longest = min(load.backoff * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS), load.max_backoff)
    return longest * (1 - fraction(*parts, str(attempts)) / 2)
