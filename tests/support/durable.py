"""Durable runs over doubles of the services, with the real engine, journal and database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from sluice.common.v1 import common_pb2
from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.objects.pipeline import Payloads, PipelineSpec
from sluice_api.objects.steps import GenerateStep, Steps
from sluice_api.snapshot import CompiledPipeline, CompiledPolicy, Snapshot
from sluice_gateway.domain.clock import SystemClock
from sluice_gateway.domain.executor import Executor
from sluice_gateway.domain.model import Message, Passage, Principal, Reranked, RunRequest, Vectors
from sluice_gateway.domain.ports import Services
from sluice_gateway.domain.run import RunRecord
from sluice_gateway.domain.search import Found, Search
from sluice_gateway.durable.execution import StandardBody
from sluice_gateway.durable.express import ExpressKeeping
from sluice_gateway.durable.port import Engine
from sluice_gateway.durable.runs import StandardRuns
from sluice_gateway.durable.standard import DEFINITION, Standard
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal.sqlite.journal import SqliteJournal
from sluice_gateway.payloads import keys as payload_keys
from sluice_gateway.payloads.store import StoredPayloads
from sluice_gateway.settings import GatewaySettings
from sluice_gateway.storage.database import Database
from support.run_bench import World

QUICK = {"timeout": "2s", "retries": 0}
TENANT = "acme"
WHO = Principal(TENANT, "ada", ("reader",))
STEPS = ("guard_input", "retrieve", "rerank", "guard_passages", "generate", "guard_output")


class MessageWorld(World):
    """The services with messages, as the real ones send them: what they give can be kept."""

    async def search(self, principal: Principal, search: Search) -> Found:
        found = await super().search(principal, search)
        vectors = Vectors(common_pb2.QuestionVectors(model_digest="m"))
        return Found([_message(passage) for passage in found.passages], vectors, found.degraded)

    async def rerank(self, *arguments: object) -> Reranked:
        ranked = await super().rerank(*arguments)
        return Reranked([_message(passage) for passage in ranked.passages], ranked.scored, ranked.model)


def _message(passage: Passage) -> common_pb2.Passage:
    return common_pb2.Passage(
        document_id=passage.document_id,
        chunk_id=f"{passage.document_id}#1",
        knowledge_base=passage.knowledge_base,
        title=passage.title,
        text=passage.text,
        score=passage.score,
        metadata_json=passage.metadata_json,
    )


def pipeline(*, payloads: Payloads = Payloads.SEALED, promote: bool = False, **steps: object) -> PipelineSpec:
    """A pipeline whose steps are tried once."""
    quick = {name: {**QUICK, **steps.get(name, {})} for name in STEPS}
    return PipelineSpec(
        knowledge_base_ref="default",
        guardrail_policy_ref="default",
        timeout="30s",
        payloads=payloads,
        promote=promote,
        steps=Steps(
            guard_input=quick["guard_input"],
            retrieve=quick["retrieve"],
            rerank={**quick["rerank"], "onFail": "abort"},
            guard_passages=quick["guard_passages"],
            generate=GenerateStep(model_server_ref="m", **quick["generate"]),
            guard_output=quick["guard_output"],
        ),
    )


def question(text: str = "How long?", principal: Principal = WHO, stream: bool = False) -> RunRequest:
    """A question to the only pipeline."""
    return RunRequest("default", principal, (Message("user", text),), stream=stream)


@dataclass
class Bench:
    """A gateway's runs, Express and Standard, without its APIs."""

    world: MessageWorld
    journal: SqliteJournal
    payloads: StoredPayloads
    executor: Executor
    standard: Standard
    runs: StandardRuns
    spec: PipelineSpec
    engine: Engine

    async def start(self, request: RunRequest | None = None) -> str:
        """Starts a durable run."""
        return (await self.runs.start(self.executor.plan(request or question(), new_run_id()))).run_id

    async def ended(self, run_id: str) -> RunRecord:
        """Waits for its end."""
        assert await self.runs.wait(run_id, 20)
        return await self.record(run_id)

    async def record(self, run_id: str) -> RunRecord:
        """A run as the journal has it."""
        await self.journal.commit()
        record = await self.journal.run(run_id)
        assert record is not None
        return record


@asynccontextmanager
async def durable(
    folder: Path,
    world: MessageWorld,
    *,
    spec: PipelineSpec | None = None,
    url: str = "",
    version: str = DEFINITION,
) -> AsyncIterator[Bench]:
    """A bench for the length of the block; another one on the same folder goes on with what is left."""
    settings = GatewaySettings(data_dir=folder, database_url=SecretStr(url), instance="bench")
    spec = spec or pipeline()
    snapshot = Snapshot(
        pipelines={"default": CompiledPipeline(version="v1", spec=spec)},
        guardrail_policies={"default": CompiledPolicy(version="1", spec=GuardrailPolicySpec())},
        knowledge_bases={"default": KnowledgeBaseSpec()},
    )
    journal = SqliteJournal(folder, "bench")
    database = Database(folder, url)
    payloads = StoredPayloads(database, payload_keys.load_or_create(folder / payload_keys.KEY))
    keeping = ExpressKeeping(payloads)
    services = Services(world, world, world, world)
    clock = SystemClock()
    executor = Executor(
        services,
        journal,
        clock,
        lambda: snapshot,
        new_run_id,
        lambda: "c4n4ry",
        8,
        (keeping,),
        outputs_of=keeping.outputs_of,
    )

    async def ready() -> None:
        return None

    body = StandardBody(services, journal, clock, payloads, ready, (keeping,))
    standard = Standard(settings, database, body, version)
    runs = StandardRuns(
        standard.engine, standard.has_runs, journal, payloads, clock, new_run_id, keeping.settled
    )
    try:
        async with keeping.writing(), standard.going_on(runs.seed):
            engine = await standard.engine()
            yield Bench(world, journal, payloads, executor, standard, runs, spec, engine)
    finally:
        journal.close()
        database.close()


def names(record: RunRecord) -> Sequence[str]:
    """The steps of a run, in order."""
    return [step.name for step in record.steps]
