"""Answers kept in memory: each under its request's key, the longest unused gone first, bounded in number and bytes."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice_gateway.domain.caching.facts import Facts
from sluice_gateway.domain.outcome import RunResult

#: Bytes of what surrounds an answer's texts, about.
_AROUND = 2048

#: Seconds between two times that answers are removed which are too old for everybody.
_SWEEPING = 60.0

#: Answers to questions of the same facts that one question is compared with.
_MOST_COMPARED = 8

Vector = Sequence[float]


@dataclass(slots=True)
class Kept:
    """An answer that may be given again."""

    key: bytes
    pool: str
    result: RunResult
    at: float
    """When it was made, by the clock."""
    until: float
    """From when on nobody may be given it."""
    size: int
    question: str = ""
    near: "tuple[bytes, Facts] | None" = None
    """Scope and facts of its question, where it may be given to others worded otherwise."""
    vector: Vector | None = None
    """The question's; worked out once another question is compared with it."""


class Answers:
    """All that one gateway keeps.

    Args:
        max_bytes: Of all answers, about; nothing is kept where it is 0.
        clock: Seconds that never go back.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.bytes = 0
        self._swept = clock()
        self._max_bytes = max_bytes
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._pools: dict[str, OrderedDict[bytes, None]] = {}
        self._near: dict[tuple[bytes, Facts], list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def exact(self, key: bytes, ttl: float) -> Kept | None:
        """The answer to the same request, not older than `ttl` seconds."""
        self._sweep()
        kept = self._kept.get(key)
        return kept if kept is not None and self.clock() - kept.at <= ttl else None

    def near(self, scope: bytes, facts: Facts, ttl: float) -> list[Kept]:
        """Answers to questions of the same facts, the newest first."""
        keys = self._near.get((scope, facts), [])[-_MOST_COMPARED:]
        found = (self.exact(key, ttl) for key in reversed(keys))
        return [kept for kept in found if kept is not None]

    def use(self, kept: Kept) -> None:
        """Notes that an answer is given again."""
        if kept.key in self._kept:
            self._kept.move_to_end(kept.key)
            self._pools[kept.pool].move_to_end(kept.key)

    def keep(
        self,
        pool: str,
        key: bytes,
        result: RunResult,
        max_entries: int,
        ttl: float,
        *,
        question: str = "",
        near: tuple[bytes, Facts] | None = None,
    ) -> None:
        """Keeps an answer in place of an earlier one to the same request; one larger than all that may be kept is not.

        Args:
            pool: Whose answers are `max_entries` at most.
            ttl: Seconds after which nobody may be given it.
        """
        self._sweep()
        size, now = _size(result) + sys.getsizeof(question), self.clock()
        self._drop(key)
        if size > self._max_bytes:
            return
        while len(of_pool := self._pools.get(pool, OrderedDict())) >= max_entries:
            self._drop(next(iter(of_pool)))
        while self.bytes + size > self._max_bytes:
            self._drop(next(iter(self._kept)))
        self._kept[key] = Kept(key, pool, result, now, now + ttl, size, question, near)
        self._pools.setdefault(pool, OrderedDict())[key] = None
        self.bytes += size
        if near is not None:
            self._near.setdefault(near, []).append(key)

    def _sweep(self) -> None:
        now = self.clock()
        if now - self._swept >= _SWEEPING:
            self._swept = now
            for key in [key for key, kept in self._kept.items() if kept.until < now]:
                self._drop(key)

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self.bytes -= kept.size
        pool = self._pools[kept.pool]
        del pool[key]
        if not pool:
            del self._pools[kept.pool]
        if kept.near is not None:
            others = self._near[kept.near]
            others.remove(key)
            if not others:
                del self._near[kept.near]


def _size(result: RunResult) -> int:
    texts = [result.text]
    for citation in result.citations:
        texts += [citation.text, citation.title, citation.document_id, citation.metadata_json]
    return _AROUND + sum(sys.getsizeof(text) for text in texts)
