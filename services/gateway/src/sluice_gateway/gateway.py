"""All that the APIs need, assembled once: the HTTP and the gRPC API are two faces of this."""

import secrets
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

import uuid_utils

from sluice.common.v1 import common_pb2
from sluice.gateway.v1 import gateway_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.pipeline import Payloads
from sluice_api.snapshot import Snapshot
from sluice_gateway.clients import RerankerClient, RetrieverClient
from sluice_gateway.domain.access import Role, require
from sluice_gateway.domain.adapting.listing import ListedModel, listed
from sluice_gateway.domain.adapting.naming import pipeline_and_adapter
from sluice_gateway.domain.caching.answering import ANY_CACHE, Answering, CacheControl
from sluice_gateway.domain.coalescing import Running
from sluice_gateway.domain.embedding import EmbeddedTexts, knowledge_base_of, model_name
from sluice_gateway.domain.executor import Executor
from sluice_gateway.domain.limiting.limiter import Standing
from sluice_gateway.domain.model import Principal, RunRequest
from sluice_gateway.domain.outcome import RunFailedError
from sluice_gateway.domain.run import ChangesOf, Event, RunChange, RunRecord
from sluice_gateway.domain.search import Search
from sluice_gateway.following import Following
from sluice_gateway.guard_client import GuardClient
from sluice_gateway.journal.port import Journal
from sluice_gateway.payloads.port import RETENTION
from sluice_gateway.stored_screening import StoredScreening
from sluice_servicekit.errors import NotFound, ServiceError

#: Candidates that a search hands to the reranker, at least.
_RERANK_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages, where the time went, and what was left out on the way."""

    passages: Sequence[common_pb2.Passage]
    timings_ms: dict[str, float]
    degraded: Sequence[str]
    explanations: Sequence[retriever_pb2.Explanation]


class Gateway:
    """Checks what a principal may do, then does it."""

    def __init__(
        self,
        executor: Executor,
        journal: Journal,
        guard: GuardClient,
        retriever: RetrieverClient,
        reranker: RerankerClient,
        snapshot: Callable[[], Snapshot],
        clock: Callable[[], float],
        answering: Answering | None = None,
    ) -> None:
        self._executor = executor
        self._journal = journal
        self._following = Following(journal)
        self._guard = guard
        self._retriever = retriever
        self._reranker = reranker
        self._snapshot = snapshot
        self._clock = clock
        self._answering = answering

    async def admit(
        self,
        principal: Principal,
        model: str,
        read: Callable[[], RunRequest],
        control: CacheControl = ANY_CACHE,
    ) -> Running:
        """A run that may start; it must be read.

        Args:
            read: Gives the request, and raises where it is wrong.

        Raises:
            RunFailedError: it may not; the journal holds it as a run that failed at `admit`.
        """
        try:
            require(principal, Role.READER)
            request = read()
            await self._executor.admission.prepare(request)
            if self._answering is None:
                return self._executor.admit(request)
            return await self._answering.admit(request, control)
        except ServiceError as error:
            raise await self.refuse(principal, model, error) from error

    async def refuse(self, principal: Principal, model: str, error: ServiceError) -> RunFailedError:
        """The error for a question that cannot start, once the journal has it."""
        return await self._executor.refuse(principal, model, error)

    def payloads(self, model: str) -> Payloads:
        """Whether a pipeline keeps what its runs work on; sealed where there is no such pipeline."""
        with suppress(ServiceError):
            pipeline = self._snapshot().pipelines.get(pipeline_and_adapter(model)[0])
            if pipeline is not None:
                return pipeline.spec.payloads
        return Payloads.SEALED

    def payload_retention(self, model: str) -> float:
        """Seconds that sealed payloads of a pipeline's runs can be read; a day where there is no such pipeline."""
        with suppress(ServiceError):
            pipeline = self._snapshot().pipelines.get(pipeline_and_adapter(model)[0])
            if pipeline is not None:
                return pipeline.spec.payload_retention
        return RETENTION

    def models(self, principal: Principal) -> list[ListedModel]:
        """The pipelines, each followed by the adapters that may be named in its place."""
        require(principal, Role.READER)
        return listed(self._snapshot(), principal)

    def knowledge_bases(self, principal: Principal) -> list[tuple[str, str, str]]:
        """Names and descriptions of the knowledge bases, and what their embedding models are called."""
        require(principal, Role.READER)
        known = self._snapshot().knowledge_bases
        return [(name, known[name].description, model_name(known[name].embedding)) for name in sorted(known)]

    async def search(self, principal: Principal, search: Search, *, rerank: bool) -> SearchResult:
        """Passages without an answer, reordered on request.

        Raises:
            NotFound: there is no knowledge base of one of the names.
        """
        require(principal, Role.READER)
        await self._executor.admission.call(principal)
        for name in (search.knowledge_base, *search.more_knowledge_bases):
            self._known(name)
        top_k = search.top_k
        fetch = max(top_k, _RERANK_CANDIDATES) if rerank else top_k
        found = await self._retriever.search_whole(principal, replace(search, top_k=fetch))
        passages: Sequence[common_pb2.Passage] = found.passages[:top_k]
        timings = dict(found.timings_ms)
        if rerank and found.passages:
            started = self._clock()
            passages = await self._reranker.rerank_messages(
                principal, search.query, found.question_vectors, found.passages, top_k
            )
            timings["rerank"] = (self._clock() - started) * 1000
        return SearchResult(passages, timings, found.degraded, found.explanations)

    async def embed_texts(
        self, principal: Principal, model: str, texts: Sequence[str], *, as_documents: bool
    ) -> EmbeddedTexts:
        """Texts' vectors, by the model of a knowledge base, which `model` is the name of or names the model of.

        Raises:
            NotFound: there is none.
        """
        require(principal, Role.READER)
        await self._executor.admission.call(principal)
        knowledge_base = knowledge_base_of(model, self._snapshot().knowledge_bases)
        return await self._retriever.embed_texts(knowledge_base, texts, as_documents=as_documents)

    async def guard(
        self, principal: Principal, request: guardrail_pb2.GuardRequest
    ) -> guardrail_pb2.GuardResponse:
        """What a policy makes of one text.

        Raises:
            NotFound: there is no policy of that name.
        """
        require(principal, Role.READER)
        await self._executor.admission.call(principal)
        return await self._guard.guard(principal, request)

    async def ingest(
        self,
        principal: Principal,
        knowledge_base: str,
        documents: AsyncIterator[retriever_pb2.Document],
        *,
        progress: bool = False,
    ) -> AsyncGenerator[gateway_pb2.IngestResponse, None]:
        """Stores documents; one reply for each, in order, and with `progress` more of large ones. What is stored is
        screened by the policies that guard the knowledge base, and each reply says what they flag."""
        self.require_writer(principal, knowledge_base)
        await self._executor.admission.call(principal)
        policies = self._snapshot().document_policies(knowledge_base, principal.tenant)
        stored = self._retriever.ingest(
            principal, knowledge_base, documents, progress=progress, return_chunks=bool(policies)
        )
        screening = StoredScreening(self._guard, principal, knowledge_base, policies)
        async with aclosing(screening.screened(stored)) as responses:
            async for response in responses:
                if progress or response.result.outcome != retriever_pb2.INGEST_OUTCOME_IN_PROGRESS:
                    yield response

    async def delete(self, principal: Principal, knowledge_base: str, document_ids: Sequence[str]) -> int:
        """Removes documents; gives how many of the ids there were."""
        self.require_writer(principal, knowledge_base)
        await self._executor.admission.call(principal)
        return await self._retriever.delete(principal, knowledge_base, document_ids)

    async def list_documents(
        self, principal: Principal, knowledge_base: str, prefix: str, page_token: str, page_size: int
    ) -> retriever_pb2.ListDocumentsResponse:
        """A page of the tenant's documents, by id. Whoever may write sees them all, whatever their ACLs."""
        self.require_writer(principal, knowledge_base)
        return await self._retriever.list_documents(principal, knowledge_base, prefix, page_token, page_size)

    async def run(self, principal: Principal, run_id: str) -> RunRecord:
        """A run of the principal's tenant.

        Raises:
            NotFound: there is none of that id, or it is another tenant's.
        """
        require(principal, Role.READER)
        record = await self._journal.run(run_id) if _is_uuid(run_id) else None
        if record is None and _is_uuid(
            run_id
        ):  # of a run that has just begun, all may still wait to be written
            await self._journal.commit()
            record = await self._journal.run(run_id)
        if record is None or record.tenant != principal.tenant:
            raise NotFound(f"there is no run {run_id!r}", reason="RUN_NOT_FOUND")
        return record

    async def runs(self, principal: Principal, limit: int, before: str | None) -> list[RunRecord]:
        """The newest runs of the principal's tenant."""
        require(principal, Role.READER)
        return await self._journal.runs(principal.tenant, limit, before)

    def run_changes(
        self, principal: Principal, which: ChangesOf, after: int | None, last: int
    ) -> AsyncGenerator[RunChange | int, None]:
        """Starts and ends of runs as they come; see `Following.changes`."""
        require(principal, Role.READER)
        return self._following.changes(which, after, last)

    async def run_events(
        self, principal: Principal, run_id: str, after: int
    ) -> AsyncGenerator[tuple[int, Event], None]:
        """What happens in a run of the principal's tenant; see `Following.events`.

        Raises:
            NotFound: there is none of that id, or it is another tenant's.
        """
        record = await self.run(principal, run_id)
        return self._following.events(record.run_id, after)

    def end_following(self) -> None:
        """Ends whatever `run_changes` and `run_events` give: a gateway that stops does not wait for them."""
        self._following.close()

    async def rebuild(
        self, principal: Principal, knowledge_base: str
    ) -> AsyncGenerator[retriever_pb2.RebuildResponse, None]:
        """Builds a knowledge base anew, for all its tenants, and tells how far it is."""
        require(principal, Role.ADMIN)
        self._known(knowledge_base)
        async for response in self._retriever.rebuild(principal, knowledge_base):
            yield response

    def standing(self, principal: Principal) -> list[Standing]:
        """How the principal's limits stand."""
        return self._executor.admission.standing(principal)

    def require_writer(self, principal: Principal, knowledge_base: str) -> None:
        """Raises where the principal may not change the knowledge base, or there is none of that name."""
        require(principal, Role.WRITER)
        self._known(knowledge_base)

    def _known(self, knowledge_base: str) -> None:
        known = self._snapshot().knowledge_bases
        if knowledge_base not in known:
            names = ", ".join(sorted(known)) or "none"
            raise NotFound(
                f"there is no knowledge base {knowledge_base!r}; there is: {names}",
                reason="KNOWLEDGE_BASE_NOT_FOUND",
            )


def new_run_id() -> str:
    """A UUID of version 7: runs sort by their start."""
    return str(uuid_utils.uuid7())


def new_canary() -> str:
    """A word of 16 to 24 letters and digits: its length and letters name no product."""
    return secrets.token_hex(8 + secrets.randbelow(5))


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
