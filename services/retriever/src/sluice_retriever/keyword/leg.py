"""The keyword leg of a search: what a store gives in time, or why it gave nothing."""

import asyncio
import logging
import uuid
from dataclasses import dataclass

from prometheus_client import Counter

from sluice_retriever.domain.model import Leg
from sluice_retriever.keyword.breaker import Breaker
from sluice_retriever.keyword.store import Hits, KeywordStore
from sluice_servicekit import deadlines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import DeadlineExceeded, ServiceError, Unavailable

_LOG = logging.getLogger(__name__)

_DROPPED = Counter(
    names.KEYWORD_LEGS_DROPPED, "Keyword legs left out of their search", ("knowledge_base", "reason")
)

#: Seconds that a healthy store needs at most. That one missed a shorter deadline, a caller's own, says nothing of it.
_FAIR = 0.1

#: What `degraded` says, the store's own reason being the operator's alone: it may name hosts.
_LATE = f"{Leg.KEYWORD}: {DeadlineExceeded.default_reason}"
_FAILED = f"{Leg.KEYWORD}: {Unavailable.default_reason}"


@dataclass(frozen=True, slots=True)
class Found:
    """What the leg contributes."""

    hits: Hits
    degraded: str = ""
    """Why there are no hits, for the reply's `degraded`; empty where the store has answered."""


class KeywordLeg:
    """A store with what is known of its health. It never raises, and never takes longer than it may."""

    def __init__(self, knowledge_base: str, store: KeywordStore, breaker: Breaker | None = None) -> None:
        self._knowledge_base = knowledge_base
        self._store = store
        self._breaker = breaker or Breaker()

    async def run(self, tenant: str, query: str, limit: int, seconds: float) -> Found:
        """The tenant's best entries.

        Args:
            tenant: Whose.
            query: The question.
            limit: Hits at most.
            seconds: What the store may take; less where the call has less left.
        """
        if not self._breaker.lets_through():
            return self._dropped("CIRCUIT_OPEN", _FAILED)
        allowed = deadlines.cap(seconds) or 0.0
        try:
            async with asyncio.timeout(allowed):
                with deadlines.limit(allowed):
                    hits = await self._store.search(tenant, query, limit)
        except (TimeoutError, DeadlineExceeded):
            if allowed >= _FAIR:
                self._breaker.failed()
            return self._dropped(DeadlineExceeded.default_reason, _LATE)
        except ServiceError as error:
            _LOG.warning("the keyword store of %r failed: %s", self._knowledge_base, error)
            self._breaker.failed()
            return self._dropped(error.reason, _FAILED)
        except Exception:
            _LOG.exception("the keyword store of %r failed", self._knowledge_base)
            self._breaker.failed()
            return self._dropped("INTERNAL", _FAILED)
        self._breaker.succeeded()
        return Found([hit for hit in hits if _is_point(hit[0])])

    def _dropped(self, reason: str, degraded: str) -> Found:
        _DROPPED.labels(self._knowledge_base, reason).inc()
        return Found([], degraded)


def _is_point(hit: str) -> bool:
    """False for what else an index may hold: the vector store takes no other ids."""
    try:
        uuid.UUID(hit)
    except ValueError:
        return False
    return True
