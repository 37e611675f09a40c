"""In front of the executor: which requests share a run, and which may be given an answer again."""

from collections.abc import Callable
from dataclasses import dataclass

from sluice_api.snapshot import CompiledPipeline, Snapshot
from sluice_gateway.domain.adapting.serving import serve
from sluice_gateway.domain.caching.answers import Answers
from sluice_gateway.domain.caching.keys import RequestKeys, keys
from sluice_gateway.domain.caching.looking import LOOKUPS, Freshness, RunCache
from sluice_gateway.domain.caching.normalising import NotComparableError
from sluice_gateway.domain.coalescing import Coalescer, Follower, Leader, Shared
from sluice_gateway.domain.executor import Executor
from sluice_gateway.domain.model import RunRequest
from sluice_gateway.domain.outcome import CacheDecision
from sluice_gateway.domain.running import Run
from sluice_servicekit import deadlines
from sluice_servicekit.errors import ServiceError

#: Seconds that the retriever has to say where writes stand. Who waits longer is better answered anew.
_EPOCHS_TIMEOUT = 0.25


@dataclass(frozen=True, slots=True)
class CacheControl:
    """What a request says of caches, by its `Cache-Control`."""

    no_cache: bool = False
    """It is to be answered anew."""
    no_store: bool = False
    """The same, and nothing of it may be kept."""

    @classmethod
    def read(cls, header: str | None) -> "CacheControl":
        """Of a header; what is not known of it is ignored, as HTTP asks."""
        said = {part.strip().lower() for part in (header or "").split(",")}
        return cls("no-cache" in said, "no-store" in said)


#: Of a request that says nothing.
ANY_CACHE = CacheControl()


@dataclass(frozen=True, slots=True)
class Answering:
    """Admits requests.

    Args:
        snapshot: Gives the snapshot in force.
    """

    executor: Executor
    snapshot: Callable[[], Snapshot]
    freshness: Freshness
    answers: Answers
    coalescer: Coalescer

    async def admit(
        self, request: RunRequest, control: CacheControl = ANY_CACHE, arm: str | None = None
    ) -> Run | Leader | Follower:
        """A run that may start, shared or not; it must be read. Raises as `Executor.admit`.

        Args:
            arm: The arm or adapter that the request is resolved to; resolved here where it is None.
        """
        snapshot = self.snapshot()
        pipeline = snapshot.pipelines.get(request.pipeline)
        if pipeline is None or not request.principal.may_ask(request.model):
            return self.executor.admit(request)  # which says why not
        run_id = self.executor.new_run_id()
        if not (pipeline.spec.cache.coalesce or pipeline.spec.cache.keeps):
            return self.executor.admit(request, run_id=run_id)
        if arm is None:
            arm = serve(snapshot, pipeline.spec, request, run_id).key
        found, reason = await self._keys(request, pipeline, control, arm)
        cache = self._cache(snapshot, request, control, found, reason)
        if not pipeline.spec.cache.coalesce or found is None or reason:
            return self.executor.admit(request, cache, run_id)

        def follow(shared: Shared) -> Follower:
            LOOKUPS.labels(request.pipeline, CacheDecision.COALESCED, "").inc()
            return self.executor.follow(request, pipeline, shared, run_id)

        return self.coalescer.join(
            found.in_flight, lambda: self.executor.admit(request, cache, run_id), follow
        )

    async def _keys(
        self, request: RunRequest, pipeline: CompiledPipeline, control: CacheControl, arm: str
    ) -> tuple[RequestKeys | None, str]:
        """The keys, and why nothing is to be looked for by them."""
        spec = pipeline.spec
        if control.no_store:
            return None, "NO_STORE"
        bases = (spec.knowledge_base_ref, *spec.more_knowledge_base_refs)
        try:
            with deadlines.limit(_EPOCHS_TIMEOUT):
                epochs = await self.freshness.epochs(request.principal, bases)
        except ServiceError as error:
            return None, error.reason
        if not epochs:
            return None, "EPOCH_UNKNOWN"
        try:
            found = keys(request, pipeline, epochs, arm)
        except NotComparableError:
            return None, "NOT_COMPARABLE"
        return found, "NO_CACHE" if control.no_cache else ""

    def _cache(
        self,
        snapshot: Snapshot,
        request: RunRequest,
        control: CacheControl,
        found: RequestKeys | None,
        reason: str,
    ) -> RunCache | None:
        pipeline = snapshot.pipelines[request.pipeline]
        spec = pipeline.spec.cache
        if not spec.keeps:
            return None
        sampled = not spec.sampled and _is_sampled(snapshot, request)
        return RunCache(
            self.answers,
            self.freshness,
            request.pipeline,
            pipeline.version,
            snapshot.guardrail_policies[pipeline.spec.guardrail_policy_ref].version,
            spec,
            found,
            reason or ("SAMPLED" if sampled else ""),
            stores=not (control.no_store or sampled),
        )


def _is_sampled(snapshot: Snapshot, request: RunRequest) -> bool:
    """Whether the same request may be answered otherwise the next time. An engine that is told no temperature has one
    of its own, which is seldom 0."""
    step = snapshot.pipelines[request.pipeline].spec.steps.generate
    server = snapshot.model_servers.get(step.model_server_ref)
    quotes = server is not None and server.extractive is not None
    return not quotes and request.sampling.temperature != 0
