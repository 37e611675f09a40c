"""Runs over doubles of the four services and a journal in memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sluice_api.objects.answer_cache import AnswerCache
from sluice_api.objects.guardrail_policy import GuardrailPolicySpec, StreamingMode
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.objects.model_server import ModelServerSpec
from sluice_api.objects.pipeline import Audit, PipelineSpec
from sluice_api.objects.retrieval import Retrieval
from sluice_api.objects.rounds import Rounds
from sluice_api.objects.steps import (
    FallbackStep,
    GenerateStep,
    GuardStep,
    OnFail,
    RerankStep,
    RetrieveStep,
    RewriteStep,
    Steps,
)
from sluice_api.snapshot import CompiledExperiment, CompiledPipeline, CompiledPolicy, Snapshot
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.budgets import Budgets
from sluice_gateway.domain.executor import Executor
from sluice_gateway.domain.model import (
    AnswerContext,
    Decision,
    Finish,
    Message,
    Principal,
    Released,
    Reranked,
    Reworded,
    Rewritten,
    ScreenedInput,
    ScreenedOutput,
    ScreenedPassages,
    TreatedSegment,
    Vectors,
    Verdict,
    Writing,
)
from sluice_gateway.domain.observing import RunObserver
from sluice_gateway.domain.ports import Prompt, Services
from sluice_gateway.domain.run import Event, StepState, fold
from sluice_gateway.domain.search import Found, Search
from sluice_gateway.domain.tools import NO_TOOLS, Tools
from sluice_servicekit.errors import ResourceExhausted, ServiceError
from support.passages import Leg, Passage


def verdict(decision: Decision = Decision.ALLOW) -> Verdict:
    """One of a gate that has found an attack, where it is not to allow."""
    reason = "" if decision is Decision.ALLOW else "PROMPT_INJECTION"
    return Verdict(decision, reason, "No." if reason else "", "default", "1")


@dataclass
class World:
    """The services and what they do. `fail[name]` are errors to raise, one for each call; `wait[name]` seconds."""

    fail: dict[str, list[ServiceError]] = field(default_factory=lambda: defaultdict(list))
    wait: dict[str, float] = field(default_factory=dict)
    input_verdict: Verdict = field(default_factory=verdict)
    treated: tuple[TreatedSegment, ...] = ()
    """What the input gate puts in place of messages."""
    vault: bytes = b""
    passages_verdict: Verdict = field(default_factory=verdict)
    withheld: tuple[str, ...] = ()
    """Documents that no model may read."""
    output_verdict: Verdict = field(default_factory=verdict)
    leaves: Callable[[str], str] = str
    """What the output gate makes of a text."""
    judges: Callable[[str], Verdict] | None = None
    """The output gate's verdict by the text; in place of `output_verdict`."""
    contexts: list[AnswerContext] = field(default_factory=list)
    """What whole texts were checked against."""
    sent: Sequence[Message] = ()
    """What the input gate was asked about."""
    described: Sequence[str] = ()
    """What the input gate was told of tools."""
    prompt: Prompt | None = None
    checked: AnswerContext | None = None
    pieces: Sequence[Writing] = ("It is ", "forty [1].")
    fail_after_piece: ServiceError | None = None
    stalls: bool = False
    """It never comes to the end."""
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    """Whoever read it has left."""
    finish: Finish = field(default_factory=lambda: Finish("stop", model="double"))
    rewritten: str = "How long does the second kiln take?"
    shown: Sequence[Message] = ()
    priority: Priority | None = None
    """The turns that were to be rewritten."""
    queries: list[object] = field(default_factory=list)
    """What was embedded, searched and reranked with."""
    searches: list[Search] = field(default_factory=list)
    finds: tuple[str, ...] = ("a.md", "b.md")
    left_out: tuple[str, ...] = ()
    """Legs that the retriever does without."""
    epoch: str = "1"
    """Where every tenant's writes stand; empty where that cannot be told."""
    sentences: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Vectors of questions; others have all the same."""
    library: Callable[[str], Sequence[Passage]] | None = None
    """What a query finds, in the reranker's order too; `finds` where None."""
    hangs: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Calls, from 0, that never end by themselves."""
    rewordings: tuple[str, ...] = ()
    """What the engine would look for instead."""
    reworded: list[str] = field(default_factory=list)
    """The questions that it was asked about."""
    prompts: list[Prompt] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    called: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    async def step(self, name: str) -> None:
        number = self.calls.count(name)
        self.calls.append(name)
        self.called[name].set()
        if number in self.hangs[name]:
            await asyncio.Event().wait()
        await asyncio.sleep(self.wait.get(name, 0))
        if self.fail[name]:
            raise self.fail[name].pop(0)

    async def check_input(
        self,
        policy: str,
        principal: Principal,
        run_id: str,
        messages: Sequence[Message],
        tools: Tools = NO_TOOLS,
    ) -> ScreenedInput:
        await self.step("guard_input")
        self.sent = messages
        self.described = tools.texts
        return ScreenedInput(self.input_verdict, self.treated, self.vault)

    async def check_passages(
        self, policy: str, principal: Principal, passages: Sequence[Passage]
    ) -> ScreenedPassages:
        await self.step("guard_passages")
        kept = [passage for passage in passages if passage.document_id not in self.withheld]
        gone = [passage for passage in passages if passage.document_id in self.withheld]
        return ScreenedPassages(self.passages_verdict, kept, gone)

    async def check_output(self, context: AnswerContext, text: str) -> ScreenedOutput:
        self.checked = context
        self.contexts.append(context)
        await self.step("guard_output")
        decided = self.output_verdict if self.judges is None else self.judges(text)
        return ScreenedOutput(decided, self.leaves(text))

    async def check_output_stream(
        self, context: AnswerContext, deltas: AsyncIterator[str]
    ) -> AsyncGenerator[Released, None]:
        self.checked = context
        self.calls.append("guard_output")
        async for delta in deltas:
            yield Released(self.leaves(delta), verdict(), final=False)
        yield Released("", self.output_verdict, final=True)

    async def rewrite(
        self, principal: object, step: object, turns: Sequence[Message], priority: Priority
    ) -> Rewritten:
        self.shown, self.priority = turns, priority
        await self.step("rewrite")
        return Rewritten(self.rewritten, model="double")

    async def reword(
        self, principal: object, step: object, question: str, most: int, priority: Priority
    ) -> Reworded:
        self.reworded.append(question)
        self.priority = priority
        await self.step("reword")
        return Reworded(self.rewordings, model="double")

    async def epochs(self, principal: Principal, knowledge_bases: Sequence[str]) -> str:
        self.calls.append("epochs")
        if self.fail["epochs"]:
            raise self.fail["epochs"].pop(0)
        return self.epoch  # the same for all tenants, as it may well be

    async def sentence(self, text: str) -> Sequence[float]:
        self.calls.append("sentence")
        if self.fail["sentence"]:
            raise self.fail["sentence"].pop(0)
        return self.sentences.get(text, (1.0, 0.0))

    async def search(self, principal: Principal, search: Search) -> Found:
        self.queries.append(search.query)
        self.searches.append(search)
        await self.step("retrieve")
        if self.library is not None:
            return Found(self.library(search.query), Vectors(object()), self.left_out)
        legs = (Leg("dense"), Leg("sparse"))
        found = [Passage("a.md", "A", legs=legs), Passage("b.md", legs=legs[:1])]
        kept = [passage for passage in found if passage.document_id in self.finds]
        return Found(kept, Vectors(object()), self.left_out)

    async def rerank(self, *arguments: object) -> Reranked:
        self.queries.append(arguments[1])
        await self.step("rerank")
        if self.library is not None:
            return Reranked(arguments[3][: arguments[4]], len(arguments[3]), "double")
        ranked = [Passage("a.md", "A")] if "a.md" in self.finds else []
        return Reranked(ranked, 2, "double")

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Writing, None]:
        self.prompt = prompt
        self.prompts.append(prompt)
        await self.step("generate")
        for index, piece in enumerate(self.pieces):
            if index == 1 and self.fail_after_piece:
                raise self.fail_after_piece
            yield piece
        if self.stalls:
            self.stalled.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        yield self.finish


class Memory:
    """A journal in memory; `full` makes it refuse."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.full = False
        self.commits = 0

    def append(self, event: Event) -> None:
        if self.full:
            raise ResourceExhausted("full", reason="JOURNAL_FULL")
        self.events.append(event)

    async def commit(self) -> None:
        self.commits += 1

    async def run(self, run_id: str):
        raise NotImplementedError

    async def runs(self, tenant: str, limit: int, before: str | None):
        raise NotImplementedError


class Clock:
    """Counts."""

    def __init__(self) -> None:
        self.time = 0.0
        self.drops = 0

    def now(self) -> float:
        self.time += 1.0
        return self.time

    def dropped(self) -> None:
        self.drops += 1


QUICK = {"timeout": 1.0, "backoff": 0.001, "max_backoff": 0.002}


@dataclass
class Bench:
    """An executor over a world."""

    world: World = field(default_factory=World)
    journal: Memory = field(default_factory=Memory)
    clock: Clock = field(default_factory=Clock)
    streaming: StreamingMode = StreamingMode.WITHHOLD
    policy: Mapping[str, object] = field(default_factory=dict)
    """The rest of the policy."""
    server: ModelServerSpec | None = None
    """What writes the answers; something unknown if None."""
    audit: Audit = Audit.REQUIRED
    max_in_flight: int = 8
    timeout: float = 5.0
    retries: int = 2
    rewrite: OnFail | None = None
    """What the run does where rewriting fails; None leaves the step out."""
    retrieval: Retrieval = field(default=Retrieval())
    """The pipeline's parameters of retrieval."""
    more_knowledge_bases: tuple[str, ...] = ()
    rounds: Rounds = field(default=Rounds())
    policies: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """What is otherwise in the policy of a step."""
    fallbacks: Mapping[str, FallbackStep] = field(default_factory=dict)
    budgets: Budgets | None = None
    specs: Mapping[str, KnowledgeBaseSpec] = field(default_factory=dict)
    """Of those knowledge bases that are not as by default."""
    cache: AnswerCache = field(default=AnswerCache())
    version: str = "1"
    """The pipeline's."""
    model_name: str = ""
    experiments: Mapping[str, CompiledExperiment] = field(default_factory=dict)
    observers: Sequence[RunObserver] = ()

    def executor(self) -> Executor:
        policy = {**QUICK, "retries": self.retries}
        rewrite = RewriteStep(model_server_ref="m", on_fail=self.rewrite) if self.rewrite else None
        spec = PipelineSpec(
            knowledge_base_ref="default",
            more_knowledge_base_refs=self.more_knowledge_bases,
            guardrail_policy_ref="default",
            timeout=f"{self.timeout}s",
            audit=self.audit,
            cache=self.cache,
            rounds=self.rounds,
            steps=Steps.model_construct(
                guard_input=GuardStep.model_construct(**{**GuardStep().__dict__, **policy}),
                rewrite=rewrite and RewriteStep.model_construct(**{**rewrite.__dict__, **policy}),
                retrieve=RetrieveStep.model_construct(
                    **{**RetrieveStep(parameters=self.retrieval).__dict__, **policy}
                ),
                rerank=RerankStep.model_construct(**{**RerankStep().__dict__, **policy}),
                generate=GenerateStep.model_construct(
                    **{**GenerateStep(model_server_ref="m", model_name=self.model_name).__dict__, **policy}
                ),
                guard_output=GuardStep.model_construct(**{**GuardStep().__dict__, **policy}),
            ),
        )
        changed: dict[str, object] = {
            name: getattr(spec.steps, name).model_copy(update=changes)
            for name, changes in self.policies.items()
        }
        changed["fallbacks"] = dict(self.fallbacks)
        spec = spec.model_copy(update={"steps": spec.steps.model_copy(update=changed)})
        self.snapshot = Snapshot(
            pipelines={"default": CompiledPipeline(version=self.version, spec=spec)},
            guardrail_policies={
                "default": CompiledPolicy(
                    version="1", spec=GuardrailPolicySpec(streaming=self.streaming, **self.policy)
                )
            },
            model_servers={} if self.server is None else {"m": self.server},
            knowledge_bases={
                name: self.specs.get(name, KnowledgeBaseSpec())
                for name in ("default", *self.more_knowledge_bases)
            },
            experiments=dict(self.experiments),
        )
        ids = (f"run-{number}" for number in range(1000))
        services = Services(self.world, self.world, self.world, self.world)
        return Executor(
            services,
            self.journal,
            self.clock,
            lambda: self.snapshot,
            lambda: next(ids),
            lambda: "c4n4ry",
            self.max_in_flight,
            self.observers,
            budgets=self.budgets,
        )

    @property
    def record(self):
        return fold(self.journal.events)

    @property
    def states(self) -> dict[str, StepState]:
        return {step.name: step.state for step in self.record.steps}


class Uncontrolled:
    """A control of runs that has nothing go on in the background."""

    async def promote(self, *_: object) -> None:
        return None
