"""Puts the gateway together."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import grpc

from sluice.gateway.v1 import gateway_pb2_grpc
from sluice.guardrail.v1 import guardrail_pb2_grpc
from sluice.inference.v1 import inference_pb2_grpc
from sluice.reranker.v1 import reranker_pb2_grpc
from sluice.retriever.v1 import retriever_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_gateway import stores
from sluice_gateway.access.counters import LIMITS_TENDED, DatabaseCounters
from sluice_gateway.access.preparing import prepared
from sluice_gateway.clients import RerankerClient, RetrieverClient
from sluice_gateway.domain.admission.admission import Admission
from sluice_gateway.domain.budgets import Budgets, retry_share
from sluice_gateway.domain.caching.answering import Answering
from sluice_gateway.domain.caching.answers import Answers
from sluice_gateway.domain.clock import SystemClock
from sluice_gateway.domain.coalescing import Coalescer
from sluice_gateway.domain.executor import Executor
from sluice_gateway.domain.limiting.limiter import Limiter
from sluice_gateway.domain.ports import Services
from sluice_gateway.durable.execution import StandardBody
from sluice_gateway.durable.express import ExpressKeeping
from sluice_gateway.durable.runs import StandardRuns
from sluice_gateway.durable.standard import DEFINITION, Standard
from sluice_gateway.experiments.collecting import OutcomeCollector, collecting
from sluice_gateway.experiments.feedback import Feedback
from sluice_gateway.experiments.reporting import Experiments
from sluice_gateway.experiments.store import OutcomeStore
from sluice_gateway.gateway import Gateway, new_canary, new_run_id
from sluice_gateway.generator_client import GeneratorClient
from sluice_gateway.grpc_api import GatewayServicer
from sluice_gateway.guard_client import GuardClient
from sluice_gateway.http.serving import listen, refuse_open_gateway, serving_http
from sluice_gateway.http.state import HttpState
from sluice_gateway.idempotency.idempotency import Idempotency
from sluice_gateway.keys_file import KeysFileWatch
from sluice_gateway.readiness import readiness, until_ready
from sluice_gateway.repeating import repeated
from sluice_gateway.run_control import RunControl
from sluice_gateway.settings import GatewaySettings
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import Unavailable
from sluice_servicekit.service import ServiceContext, Servicer

#: Seconds between two looks at the keys file.
_KEYS_REFRESH = 2.0


@asynccontextmanager
async def build(
    context: ServiceContext[GatewaySettings], version: str = DEFINITION
) -> AsyncIterator[list[Servicer]]:
    """The gateway, for the length of the block; its HTTP server included.

    Args:
        version: Of the runs' definition; another one in tests of upgrades.
    """
    settings, clock = context.settings, SystemClock()
    keys = KeysFileWatch(settings.api_keys_file)
    listening = listen(settings.http_listen)  # before anything else: a taken port must not open a journal
    refuse_open_gateway(settings, listening)

    def snapshot() -> Snapshot:
        if not context.snapshots.ready:
            raise Unavailable("the gateway is starting: no snapshot has arrived yet", retry_after=1.0)
        return context.snapshots.current

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        stack.callback(listening.close)
        kept = await enter(stores.opened(settings))
        channels = {
            name: await enter(open_channel(address, peer=name))
            for name, address in _addresses(settings).items()
        }
        services, guard, retriever, reranker = _clients(channels)
        not_ready = readiness(context.snapshots, channels)

        outcomes = OutcomeStore(kept.database, f"{settings.instance}-{uuid.uuid4().hex[:12]}")
        collector = OutcomeCollector(outcomes, time.time)
        await enter(collecting(collector))
        feedback = Feedback(kept.journal, outcomes, snapshot, clock, kept.payloads)
        experiments = Experiments(snapshot, outcomes, collector, feedback)

        limiter = Limiter(DatabaseCounters(kept.database, new_run_id()), time.time)
        stack.push_async_callback(limiter.close)
        await enter(repeated(limiter.tend, LIMITS_TENDED))

        keeping = ExpressKeeping(kept.payloads)
        await enter(keeping.writing())
        observers = (keeping, collector)
        executor = Executor(
            services,
            kept.journal,
            clock,
            snapshot,
            new_run_id,
            new_canary,
            settings.max_in_flight,
            observers,
            budgets=Budgets(retries=retry_share(settings.retry_share, settings.retries_per_second)),
            admission=Admission(
                settings.max_in_flight,
                settings.min_in_flight,
                limiter,
                lambda who: keys.current.scopes(who),
            ),
            outputs_of=keeping.outputs_of,
        )
        body = StandardBody(services, kept.journal, clock, kept.payloads, until_ready(not_ready), observers)
        standard = Standard(settings, kept.database, body, version)
        runs = StandardRuns(
            standard.engine,
            standard.has_runs,
            kept.journal,
            kept.payloads,
            clock,
            new_run_id,
            keeping.settled,
        )
        await enter(standard.going_on(runs.seed))

        answers = Answers(settings.answer_cache_bytes, time.monotonic)
        answering = Answering(executor, snapshot, retriever, answers, Coalescer())
        gateway = Gateway(
            executor, kept.journal, guard, retriever, reranker, snapshot, time.perf_counter, answering
        )
        idempotency = Idempotency(kept.database, kept.payloads, time.time)
        stack.push_async_callback(idempotency.aclose)
        control = RunControl(gateway, executor, runs, snapshot)

        state = HttpState(
            gateway, settings, lambda: keys.current, not_ready, experiments, control, idempotency
        )
        await enter(serving_http(state, listening, settings, keys.prepare))
        stack.callback(gateway.end_following)  # before the server stops, which waits for open streams
        await enter(repeated(lambda: asyncio.to_thread(keys.refresh), _KEYS_REFRESH))
        await enter(repeated(keys.refresh_tokens, _KEYS_REFRESH))
        servicer = GatewayServicer(gateway, lambda: keys.current, experiments, control, idempotency)
        yield [
            Servicer(
                gateway_pb2_grpc.add_GatewayServiceServicer_to_server,
                prepared(servicer, keys.prepare),
                "sluice.gateway.v1.GatewayService",
            )
        ]


def _addresses(settings: GatewaySettings) -> dict[str, str]:
    return {
        "guardrail": settings.guardrail_address,
        "retriever": settings.retriever_address,
        "reranker": settings.reranker_address,
        "inference": settings.inference_address,
    }


def _clients(
    channels: Mapping[str, grpc.aio.Channel],
) -> tuple[Services, GuardClient, RetrieverClient, RerankerClient]:
    guard = GuardClient(guardrail_pb2_grpc.GuardrailServiceStub(channels["guardrail"]))
    retriever = RetrieverClient(retriever_pb2_grpc.RetrieverServiceStub(channels["retriever"]))
    reranker = RerankerClient(reranker_pb2_grpc.RerankerServiceStub(channels["reranker"]))
    generator = GeneratorClient(inference_pb2_grpc.InferenceServiceStub(channels["inference"]))
    return Services(guard, retriever, reranker, generator), guard, retriever, reranker
