"""Rounds of a run: after reranking, whether the evidence carries an answer; where it does not, another look.

    retrieve → rerank → evidence ─ enough ─→ guard_passages → …
                           └ thin → (rewrite.2) → retrieve.2 → rerank.2 → evidence.2 → …

Every question that is looked for has a pool of candidates, which are ranked by that question alone: ranked by the
whole of a compound question, the passages of one part push out those of the other. The rankings are then fused.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sluice_api.objects.steps import OnFail, RewriteStep, StepPolicy
from sluice_gateway.domain.asking import unusable
from sluice_gateway.domain.evidence import weigh
from sluice_gateway.domain.fusing import fused
from sluice_gateway.domain.looking import How, Look, Looks, next_looks
from sluice_gateway.domain.model import Message, Passage, Vectors
from sluice_gateway.domain.recording import Detail, digest, passages_detail
from sluice_gateway.domain.search import Found
from sluice_gateway.domain.stepping import NO_TIME_LEFT, Done
from sluice_gateway.domain.steps import Retrieved, Steps, left_out, reasons
from sluice_gateway.domain.tasks import together
from sluice_servicekit import deadlines

_EVIDENCE = StepPolicy(retries=0, on_fail=OnFail.DEGRADE)

ENOUGH, THIN = "enough", "thin"
LOOKS_AGAIN, ROUNDS_USED, NOTHING_NEW = "LOOKS_AGAIN", "ROUNDS_USED", "NOTHING_NEW"

#: What the ranking by the whole question counts beside those by its parts; chosen on development questions.
_WHOLE = 0.5


@dataclass(frozen=True, slots=True)
class Judged:
    """What the step `evidence` gives."""

    enough: bool
    again: bool = False
    """Another round follows."""
    looks: Looks | None = None
    """What it looks for by rules."""


@dataclass(slots=True)
class _Pool:
    """What was found for one question."""

    vectors: Vectors | None
    candidates: Sequence[Passage]
    ranked: Sequence[Passage]


@dataclass(slots=True)
class Rounds:
    """The rounds of one run."""

    steps: Steps
    retrieved: Retrieved
    began: float
    """When the run started, as `time.perf_counter` tells it."""
    _asked: set[str] = field(default_factory=set)
    _pools: dict[str, _Pool] = field(default_factory=dict)

    async def run(self, ranked: Sequence[Passage]) -> tuple[Sequence[Passage], str]:
        """The passages to answer from, and why the run is degraded where a further round was not whole.

        Args:
            ranked: What the first round has found, in the reranker's order.
        """
        most = self.steps.spec.rounds.max_rounds
        if most == 1 or self.retrieved.vectors is None:
            return ranked, ""
        question = self.retrieved.query
        self._asked.add(question)
        self._pools[question] = _Pool(self.retrieved.vectors, self.retrieved.passages, ranked)
        degraded = ""
        for number in range(1, most + 1):
            judged, why = await self._judge(number, ranked)
            degraded = reasons(degraded, why)
            if not judged.again:
                break
            looks, rewritten = await self._reworded(number + 1, judged.looks)
            again, why = await self._look(number + 1, looks) if looks else (False, "")
            degraded = reasons(degraded, rewritten, why)
            if not again:
                break
            ranked = self._all_ranked()
        return ranked, degraded

    async def _judge(self, number: int, ranked: Sequence[Passage]) -> tuple[Judged, str]:
        rounds, question = self.steps.spec.rounds, self.retrieved.query

        async def work() -> Done[Judged]:
            evidence = weigh(question, ranked)
            short = evidence.short_of(rounds.enough)
            detail: Detail = {
                "coverage": round(evidence.coverage, 4),
                "by_part": [round(share, 4) for share in evidence.by_part],
                "best": round(evidence.best, 4),
                "passages": evidence.passages,
                "short_of": list(short),
            }
            if not short:
                return Done(Judged(enough=True), ENOUGH, detail=detail)
            looks = next_looks(question, evidence, ranked, self._asked, rounds.max_queries)
            how = How.REWRITE if self.steps.spec.steps.rewrite else looks and looks.how
            if number == rounds.max_rounds:
                why = ROUNDS_USED
            elif how is None:
                why = NOTHING_NEW
            elif self._too_late(number):
                why = NO_TIME_LEFT
            else:
                detail = {**detail, "next": how}
                return Done(
                    Judged(enough=False, again=True, looks=looks), THIN, f"{LOOKS_AGAIN} ({how})", detail
                )
            return Done(Judged(enough=False), THIN, why, detail)

        return await self.steps.or_else(Judged(enough=True), in_round("evidence", number), _EVIDENCE, work)

    def _too_late(self, number: int) -> bool:
        """Less time is left than the rounds so far took on average and the steps that follow need."""
        left = deadlines.remaining()
        if left is None:
            return False
        steps = self.steps.spec.steps
        ahead = (steps.retrieve, steps.rerank, steps.guard_passages, steps.generate, steps.guard_output)
        needs = sum(step.needs for step in (*ahead, *([steps.rewrite] if steps.rewrite else [])))
        return left < needs + (time.perf_counter() - self.began) / number

    async def _reworded(self, number: int, by_rules: Looks | None) -> tuple[Looks | None, str]:
        """What to look for: by the engine where there is one, else by rules."""
        step = self.steps.spec.steps.rewrite
        if step is None:
            return by_rules, ""
        none: tuple[str, ...] = ()
        name = in_round("rewrite", number)
        queries, degraded = await self.steps.or_else(none, name, step, lambda: self._rewrite(step))
        if not queries:
            return by_rules, degraded
        return Looks(How.REWRITE, tuple(Look(query, query) for query in queries)), degraded

    async def _rewrite(self, step: RewriteStep) -> Done[tuple[str, ...]]:
        question = self.retrieved.query
        most = self.steps.spec.rounds.max_queries
        written = await self.steps.services.generator.reword(
            self.steps.request.principal, step, question, most, self.steps.priority
        )
        turns = (Message("user", question),)
        usable = [query for query in written.queries if not unusable(query, turns)]
        new = tuple(query for query in dict.fromkeys(usable) if query not in self._asked)[:most]
        detail = {
            "model_server": step.model_server_ref,
            "model": written.model,
            "query_hashes": [digest(query) for query in new],
            "prompt_tokens": written.usage.prompt_tokens,
            "completion_tokens": written.usage.completion_tokens,
        }
        return Done(new, reason="" if new else NOTHING_NEW, detail=detail)

    async def _look(self, number: int, looks: Looks) -> tuple[bool, str]:
        """Retrieves and reranks; false where retrieval fails: the run has passages to go on with."""
        queries = tuple(look.query for look in looks.looks)
        self._asked.update(queries)
        retrieve = self.steps.spec.steps.retrieve

        async def search() -> Done[tuple[Found, ...]]:
            found = await together([self.steps.find(query) for query in queries])
            passages = fused([(1.0, each.passages) for each in found])
            detail = {
                **passages_detail(passages),
                "how": looks.how,
                "query_hashes": [digest(query) for query in queries],
            }
            reason = "; ".join(dict.fromkeys(each.reason for each in found if each.reason))
            return Done(tuple(found), reason=reason, detail=detail)

        name = in_round("retrieve", number)
        policy = retrieve.model_copy(update={"on_fail": OnFail.DEGRADE})
        nothing: tuple[Found, ...] = ()
        found, failed = await self.steps.or_else(nothing, name, policy, search)
        if failed:
            return False, failed
        for look, each in zip(looks.looks, found, strict=True):
            self._add(look, each.vectors, each.passages)
        degraded = reasons(*dict.fromkeys(left_out(name, each) for each in found))
        questions = tuple(dict.fromkeys(look.question for look in looks.looks))
        return True, reasons(degraded, await self._rerank(number, questions))

    def _add(self, look: Look, vectors: Vectors, passages: Sequence[Passage]) -> None:
        pool = self._pools.get(look.question)
        if pool is None:
            # By a question that only widens another one nothing is ranked.
            own = vectors if look.query == look.question else None
            self._pools[look.question] = _Pool(own, passages, ())
            return
        both = fused([(1.0, pool.candidates), (1.0, passages)])
        pool.candidates = both[: self.steps.spec.steps.retrieve.top_k]

    async def _rerank(self, number: int, questions: Sequence[str]) -> str:
        """Ranks each question's candidates; gives why the run is degraded where they stay in the retriever's order."""
        step = self.steps.spec.steps.rerank
        pools = [self._pools[question] for question in questions]

        async def work() -> Done[tuple[Sequence[Passage], ...]]:
            reranker, request = self.steps.services.reranker, self.steps.request
            ranked = await together(
                [
                    reranker.rerank(
                        request.principal,
                        question,
                        pool.vectors,
                        pool.candidates,
                        step.top_k,
                        request.pipeline,
                    )
                    for question, pool in zip(questions, pools, strict=True)
                ]
            )
            partial = next((each for each in ranked if each.partial_reason), ranked[0])
            detail = {
                **passages_detail(fused([(1.0, each.passages) for each in ranked])),
                **partial.detail,
                "scored": sum(each.scored for each in ranked),
            }
            return Done(tuple(each.passages for each in ranked), detail=detail)

        otherwise = tuple(pool.candidates[: step.top_k] for pool in pools)
        ranked, degraded = await self.steps.or_else(otherwise, in_round("rerank", number), step, work)
        for pool, passages in zip(pools, ranked, strict=True):
            pool.ranked = passages
        return degraded

    def _all_ranked(self) -> Sequence[Passage]:
        """All questions' passages, each counted once."""
        whole = self.retrieved.query
        rankings = [
            (_WHOLE if question == whole else 1.0, pool.ranked) for question, pool in self._pools.items()
        ]
        return fused(rankings)[: self.steps.spec.steps.rerank.top_k]


def in_round(step: str, number: int) -> str:
    """The name of a step in a round: that of the first has no number."""
    return step if number == 1 else f"{step}.{number}"
