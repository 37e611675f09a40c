"""Documents screened as they are stored: who stores a poisoned one is told at once, and the guardrail remembers what
its slow detectors said, so that a question need not wait for them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import Counter

from sluice.common.v1 import common_pb2
from sluice.gateway.v1 import gateway_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_gateway.domain.model import Principal
from sluice_gateway.domain.tasks import in_background
from sluice_servicekit import deadlines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import DeadlineExceeded, Internal, ServiceError

_LOG = logging.getLogger(__name__)

_SCREENED = Counter(
    names.DOCUMENTS_SCREENED, "Stored documents by what policies made of them", ("knowledge_base", "outcome")
)

#: Replies of the retriever that may wait for their screening; behind that the ingestion waits too.
_WAITING = 4
#: Seconds for the chunks of one reply, 64 at most.
_SECONDS = 60.0
#: Findings of one document that are named.
_FLAGS = 100
#: Why a verdict counts as none.
_NOT_SCANNED = "NOT_SCANNED"


class PassageGuard(Protocol):
    """What screens passages."""

    async def screen_passages(
        self,
        policy: str,
        principal: Principal,
        passages: Sequence[common_pb2.Passage],
        *,
        ahead: bool,
    ) -> guardrail_pb2.CheckPassagesResponse:
        """The verdict on passages; `ahead` where nobody waits for it."""


@dataclass
class _Found:
    """What was found in one reply's chunks, or of one document so far."""

    flags: list[gateway_pb2.DocumentFlag] = field(default_factory=list)
    unscreened: str = ""

    def add(self, other: "_Found") -> None:
        self.flags = [*self.flags, *other.flags][:_FLAGS]
        self.unscreened = self.unscreened or other.unscreened


class StoredScreening:
    """The screening of one ingestion. It fails no document: what could not be screened is said to be unscreened.

    Args:
        policies: By which to screen; where there is none, replies are only passed on.
    """

    def __init__(
        self, guard: PassageGuard, principal: Principal, knowledge_base: str, policies: Sequence[str]
    ) -> None:
        self._guard = guard
        self._principal = principal
        self._knowledge_base = knowledge_base
        self._policies = policies
        self._late = ""
        self._one = asyncio.Lock()
        self._screening: set[asyncio.Task[_Found]] = set()

    async def screened(
        self, stored: AsyncGenerator[retriever_pb2.IngestResponse, None]
    ) -> AsyncGenerator[gateway_pb2.IngestResponse, None]:
        """The replies in order, each document's last one with what was found in it. While one is screened, the next
        ones are stored."""
        documents: dict[str, _Found] = {}
        try:
            async with in_background(self._begun(stored), _WAITING) as begun:
                async for response, screening in begun:
                    found = documents.setdefault(response.document_id, _Found())
                    found.add(await screening)
                    del response.written[:]
                    if response.outcome == retriever_pb2.INGEST_OUTCOME_IN_PROGRESS:
                        yield gateway_pb2.IngestResponse(result=response)
                        continue
                    del documents[response.document_id]
                    yield gateway_pb2.IngestResponse(
                        result=response, flags=found.flags, unscreened=found.unscreened
                    )
                    self._count(response, found)
        finally:
            for screening in self._screening:
                screening.cancel()

    async def _begun(
        self, stored: AsyncGenerator[retriever_pb2.IngestResponse, None]
    ) -> AsyncGenerator[tuple[retriever_pb2.IngestResponse, asyncio.Task[_Found]], None]:
        """Each reply with its screening, one of which goes on at a time."""
        async with aclosing(stored):
            async for response in stored:
                screening = asyncio.create_task(self._screen(response))
                self._screening.add(screening)
                screening.add_done_callback(self._screening.discard)
                yield response, screening

    async def _screen(self, response: retriever_pb2.IngestResponse) -> _Found:
        passages = [
            common_pb2.Passage(
                document_id=response.document_id,
                chunk_id=chunk.chunk_id,
                knowledge_base=self._knowledge_base,
                title=chunk.title,
                text=chunk.text,
            )
            for chunk in response.written
        ]
        found = _Found()
        async with self._one:
            for policy in self._policies if passages else ():
                found.add(await self._by(policy, passages))
        return found

    async def _by(self, policy: str, passages: Sequence[common_pb2.Passage]) -> _Found:
        """After one call that was late the rest of the ingestion is not held up by more."""
        if self._late:
            return _Found(unscreened=self._late)
        try:
            with deadlines.limit(_SECONDS):
                async with asyncio.timeout(deadlines.remaining()):
                    response = await self._guard.screen_passages(
                        policy, self._principal, passages, ahead=True
                    )
            verdict = response.verdict
            return _Found(list(_flags(verdict, passages)), _NOT_SCANNED if verdict.partial else "")
        except (TimeoutError, DeadlineExceeded):
            self._late = DeadlineExceeded.default_reason
            return _Found(unscreened=self._late)
        except ServiceError as error:
            return _Found(unscreened=error.reason)
        except Exception:  # a fault of ours costs no document
            _LOG.exception("stored chunks could not be screened")
            return _Found(unscreened=Internal.default_reason)

    def _count(self, response: retriever_pb2.IngestResponse, found: _Found) -> None:
        if response.outcome == retriever_pb2.INGEST_OUTCOME_STORED and self._policies:
            outcome = "unscreened" if found.unscreened else "flagged" if found.flags else "clean"
            _SCREENED.labels(self._knowledge_base, outcome).inc()


def _flags(
    verdict: guardrail_pb2.Verdict, passages: Sequence[common_pb2.Passage]
) -> Iterator[gateway_pb2.DocumentFlag]:
    """What a policy that acts will flag or withhold; places are the chunk's, which is screened with its title."""
    if verdict.mode == guardrail_pb2.MODE_SHADOW:
        return
    for finding in verdict.findings:
        if finding.decision == guardrail_pb2.DECISION_ALLOW:
            continue
        passage = passages[finding.segment]
        before = len(passage.title) + 1 if passage.title else 0
        start, end = max(0, finding.span.start - before), finding.span.end - before
        yield gateway_pb2.DocumentFlag(
            chunk_id=passage.chunk_id,
            policy=verdict.policy,
            detector=finding.detector,
            category=finding.category,
            score=finding.score,
            decision=finding.decision,
            span=common_pb2.Span(start=start, end=end) if end > 0 else None,
        )
