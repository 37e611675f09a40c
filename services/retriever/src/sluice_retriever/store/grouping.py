"""Rows by tenant, since each call to a store is about one, and keys by what they are given."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Protocol, TypeVar


class _OfTenant(Protocol):
    @property
    def tenant(self) -> str: ...


R = TypeVar("R", bound=_OfTenant)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


def by_tenant(rows: Iterable[R]) -> dict[str, list[R]]:
    """The rows of each tenant, in their order."""
    grouped: dict[str, list[R]] = defaultdict(list)
    for row in rows:
        grouped[row.tenant].append(row)
    return grouped


def inverted(values: Mapping[K, V]) -> dict[V, list[K]]:
    """The keys of each value, in their order."""
    grouped: dict[V, list[K]] = defaultdict(list)
    for key, value in values.items():
        grouped[value].append(key)
    return grouped
