"""Rendezvous hashing: every key ranks all replicas, and one that leaves moves only its own keys. Pure."""

from functools import lru_cache
from hashlib import blake2b


@lru_cache(maxsize=4096)
def ranks(key: str, names: tuple[str, ...]) -> dict[str, int]:
    """The place of each name in the key's order, from 0; the same in every process. Not to be changed."""
    ordered = sorted(names, key=lambda name: _weight(key, name), reverse=True)
    return {name: rank for rank, name in enumerate(ordered)}


def _weight(key: str, name: str) -> bytes:
    return blake2b(f"{key}\0{name}".encode(), digest_size=8).digest()
