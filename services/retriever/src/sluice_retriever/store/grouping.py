"""Rows by tenant: each call to a store is about one."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol, TypeVar


class _OfTenant(Protocol):
    @property
    def tenant(self) -> str: ...


R = TypeVar("R", bound=_OfTenant)


def by_tenant(rows: Iterable[R]) -> dict[str, list[R]]:
    """The rows of each tenant, in their order."""
    grouped: dict[str, list[R]] = defaultdict(list)
    for row in rows:
        grouped[row.tenant].append(row)
    return grouped
