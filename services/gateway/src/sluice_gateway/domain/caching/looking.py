"""One request and the cache: whether its answer is there, and whether what it is answered may be kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Counter

from sluice_api.objects.answer_cache import AnswerCache
from sluice_gateway.domain.caching.answers import Answers, Kept
from sluice_gateway.domain.caching.facts import facts
from sluice_gateway.domain.caching.keys import RequestKeys
from sluice_gateway.domain.model import Decision, Principal, Verdict
from sluice_gateway.domain.outcome import CacheDecision, CacheUse, RunResult
from sluice_gateway.domain.run import RunState
from sluice_servicekit import deadlines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import ServiceError

LOOKUPS = Counter(
    names.CACHE_LOOKUPS,
    "Requests to pipelines with a cache, by what it gave",
    ("pipeline", "decision", "kind"),
)

#: Detectors of an answer that holds what only its own prompt may.
_LEAKS = frozenset({"leakage"})


#: Seconds that the retriever has for a vector. Who waits longer is better answered anew.
_VECTOR_TIMEOUT = 0.5


class Freshness(Protocol):
    """What the cache asks of the retriever."""

    async def epochs(self, principal: Principal, knowledge_bases: Sequence[str]) -> str:
        """Where the tenant's writes stand in the knowledge bases; empty where that cannot be told."""

    async def sentence(self, text: str) -> Sequence[float]:
        """A text's vector by the built-in model, which no server sees; L2-normalised."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look into the cache gave."""

    use: CacheUse
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class RunCache:
    """The cache as one run sees it."""

    answers: Answers
    freshness: Freshness
    pipeline: str
    version: str
    """Of the pipeline, as the keys have it."""
    policy_version: str
    """Of its policy. Gates take a snapshot over in their own time: what an older policy let pass is not kept."""
    spec: AnswerCache
    keys: RequestKeys | None
    """None where the request cannot be compared."""
    reason: str = ""
    """Why it is not looked for, where it is not."""
    stores: bool = True
    """What it is answered may be kept."""

    async def look_up(self, version: str) -> Looked:
        """The answer, where there is one that may be given.

        Args:
            version: Of the pipeline that the run goes by.
        """
        looked = await self._look_up(version)
        if looked.kept is None:
            self.note(looked.use)
        return looked

    def note(self, use: CacheUse) -> None:
        """Counts what the cache gave in the end."""
        LOOKUPS.labels(self.pipeline, str(use.decision), use.kind).inc()

    def keep(self, result: RunResult, screened: Verdict, version: str, canary: str) -> None:
        """Keeps an answer, where it may be given again.

        Args:
            screened: The input gate's verdict.
            version: Of the pipeline that the run went by.
        """
        if self.keys is None or not self.stores or result.verdict is None:
            return
        policies = {screened.policy_version, result.verdict.policy_version}
        if version != self.version or policies != {self.policy_version}:
            return
        if not _may_be_kept(result, result.verdict, canary):
            return
        semantic, exact = self.spec.semantic, self.spec.exact
        question = self.keys.question if semantic is not None else ""
        read = facts(question) if question else None
        self.answers.keep(
            self.pipeline,
            self.keys.exact,
            result,
            max(each.max_entries for each in (semantic, exact) if each is not None),
            max(each.ttl for each in (semantic, exact) if each is not None),
            question=question,
            near=None if read is None else (self.keys.scope, read),
        )

    async def _look_up(self, version: str) -> Looked:
        if self.reason or self.keys is None:
            return _bypass(self.reason)
        if version != self.version:
            return _bypass("PIPELINE_CHANGED")
        if self.spec.exact is not None:
            kept = self.answers.exact(self.keys.exact, self.spec.exact.ttl)
            if kept is not None:
                return self._hit(kept, "exact", None)
        try:
            return await self._nearest(self.keys) or Looked(CacheUse(CacheDecision.MISS))
        except ServiceError as error:
            return _bypass(error.reason)

    async def _nearest(self, keys: RequestKeys) -> Looked | None:
        read = facts(keys.question) if self.spec.semantic is not None and keys.question else None
        if self.spec.semantic is None or read is None:
            return None
        candidates = self.answers.near(keys.scope, read, self.spec.semantic.ttl)
        if not candidates:
            return None
        vector = await self._vector(keys.question)
        best: tuple[float, Kept] | None = None
        for kept in candidates:
            if kept.vector is None:
                kept.vector = await self._vector(kept.question)
            if len(vector) != len(kept.vector):  # by another model, from before the retriever was replaced
                continue
            cosine = sum(one * other for one, other in zip(vector, kept.vector, strict=True))
            if cosine >= self.spec.semantic.threshold and (best is None or cosine > best[0]):
                best = cosine, kept
        return best and self._hit(best[1], "semantic", best[0])

    async def _vector(self, question: str) -> Sequence[float]:
        with deadlines.limit(_VECTOR_TIMEOUT):
            return await self.freshness.sentence(question)

    def _hit(self, kept: Kept, kind: str, similarity: float | None) -> Looked:
        self.answers.use(kept)
        age = self.answers.clock() - kept.at
        return Looked(CacheUse(CacheDecision.HIT, kind, kept.result.run_id, similarity, age), kept)


def _bypass(reason: str) -> Looked:
    return Looked(CacheUse(CacheDecision.BYPASS, reason=reason))


def _may_be_kept(result: RunResult, verdict: Verdict, canary: str) -> bool:
    """An answer that was made whole, that the output gate has let pass as it was, and that holds nothing of its own
    request: no placeholder, no word of its prompt."""
    return (
        result.state is RunState.ANSWERED
        and result.finish_reason in ("stop", "length")
        and not (result.others or result.tool_calls or result.logprobs or result.fault or result.refused)
        and verdict.decision in (Decision.ALLOW, Decision.FLAG)
        and not verdict.partial
        and not any(
            flag.finding.decision in (Decision.REDACT, Decision.BLOCK) or flag.finding.detector in _LEAKS
            for flag in result.flags
        )
        and not (canary and canary in result.text)
    )
