"""Epochs of a store whose only writer is this process, remembered so that a look costs nothing between two writes."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from sluice_retriever.domain.model import Epoch

#: Tenants whose epochs are remembered.
_MOST = 10_000


class KnownEpochs:
    """What is known of tenants' epochs. Whatever may have changed one makes all forgotten.

    A look that began before a write ended may have read too early: it is answered, since that write was not
    acknowledged when it began, and not remembered. One that begins later waits its turn behind the write, even behind
    one whose caller has gone away.
    """

    def __init__(self) -> None:
        self._known: dict[str, Epoch] = {}
        self._changes = 0

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Something is written in the block, whether or not it succeeds."""
        try:
            yield
        finally:
            self._changes += 1
            self._known.clear()

    async def of(self, tenant: str, now: float, read: Callable[[], Awaitable[Epoch | None]]) -> Epoch | None:
        """A tenant's epoch; `read` gives it where it is not known."""
        known = self._known.get(tenant)
        if known is not None and (known.next_expiry is None or known.next_expiry > now):
            return known
        changes = self._changes
        epoch = await read()
        if epoch is not None and changes == self._changes:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[tenant] = epoch
        return epoch
