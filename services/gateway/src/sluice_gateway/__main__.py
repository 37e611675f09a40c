"""Runs the gateway: HTTP and gRPC over one set of runs and one journal."""

import asyncio
import contextlib
import logging
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import uvicorn
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sluice.gateway.v1 import gateway_pb2_grpc
from sluice.guardrail.v1 import guardrail_pb2_grpc
from sluice.inference.v1 import inference_pb2_grpc
from sluice.reranker.v1 import reranker_pb2_grpc
from sluice.retriever.v1 import retriever_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_gateway.access.counters import LIMITS_TENDED, DatabaseCounters
from sluice_gateway.access.preparing import Prepare, Preparing, prepared
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
from sluice_gateway.experiments.collecting import OutcomeCollector, collecting
from sluice_gateway.experiments.feedback import Feedback
from sluice_gateway.experiments.reporting import Experiments
from sluice_gateway.experiments.store import OutcomeStore
from sluice_gateway.gateway import Gateway, new_canary, new_run_id
from sluice_gateway.generator_client import GeneratorClient
from sluice_gateway.grpc_api import GatewayServicer
from sluice_gateway.guard_client import GuardClient
from sluice_gateway.http.app import make_app
from sluice_gateway.http.state import HttpState
from sluice_gateway.idempotency.idempotency import Idempotency
from sluice_gateway.journal.opened import open_journal
from sluice_gateway.keys_file import KeysFileWatch
from sluice_gateway.payloads import keys as payload_keys
from sluice_gateway.payloads.store import StoredPayloads
from sluice_gateway.payloads.sweeping import Sweeper
from sluice_gateway.settings import GatewaySettings
from sluice_gateway.storage.database import Database
from sluice_servicekit.addresses import bound_socket, is_loopback, parse_address
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import FailedPrecondition, ServiceError, Unavailable
from sluice_servicekit.service import ServiceContext, Servicer, run_service
from sluice_servicekit.snapshots import Snapshots

_LOG = logging.getLogger(__name__)

#: Seconds between two looks at the keys file.
_KEYS_REFRESH = 2.0

#: Seconds a service has to answer a health check.
_HEALTH_TIMEOUT = 1.0


def main() -> None:
    """The `sluice-gateway` command."""
    run_service("gateway", GatewaySettings, lambda: build)


@asynccontextmanager
async def build(context: ServiceContext[GatewaySettings]) -> AsyncIterator[list[Servicer]]:
    """The gateway, for the length of the block; its HTTP server included."""
    settings = context.settings
    keys = KeysFileWatch(settings.api_keys_file)
    listening = _listen(settings.http_listen)  # before anything else: a taken port must not open a journal
    _refuse_open_gateway(settings, listening)
    async with AsyncExitStack() as stack:
        stack.callback(listening.close)
        journal = open_journal(
            settings.database_url.get_secret_value(),
            settings.data_dir,
            settings.instance,
            key_file=settings.journal_key_file,
            synchronous=settings.journal_synchronous,
            capacity=settings.journal_capacity,
            retention_days=settings.journal_retention_days,
        )
        stack.callback(journal.close)
        database = Database(settings.data_dir, settings.database_url.get_secret_value())
        stack.callback(database.close)
        wrapping = payload_keys.load_or_create(
            settings.payload_key_file or settings.data_dir / payload_keys.KEY
        )
        await stack.enter_async_context(Sweeper(database, settings.journal_retention_days).sweeping())
        channels = {
            name: await stack.enter_async_context(open_channel(address, peer=name))
            for name, address in _addresses(settings).items()
        }
        guard = GuardClient(guardrail_pb2_grpc.GuardrailServiceStub(channels["guardrail"]))
        retriever = RetrieverClient(retriever_pb2_grpc.RetrieverServiceStub(channels["retriever"]))
        reranker = RerankerClient(reranker_pb2_grpc.RerankerServiceStub(channels["reranker"]))
        services = Services(
            guard,
            retriever,
            reranker,
            GeneratorClient(inference_pb2_grpc.InferenceServiceStub(channels["inference"])),
        )

        def snapshot() -> Snapshot:
            if not context.snapshots.ready:
                raise Unavailable("the gateway is starting: no snapshot has arrived yet", retry_after=1.0)
            return context.snapshots.current

        outcomes = OutcomeStore(database, f"{settings.instance}-{uuid.uuid4().hex[:12]}")
        collector = OutcomeCollector(outcomes, time.time)
        await stack.enter_async_context(collecting(collector))
        feedback = Feedback(journal, outcomes, snapshot, SystemClock())
        experiments = Experiments(snapshot, outcomes, collector, feedback)
        budgets = Budgets(retries=retry_share(settings.retry_share, settings.retries_per_second))
        limiter = Limiter(DatabaseCounters(database, new_run_id()), time.time)
        stack.push_async_callback(limiter.close)
        admission = Admission(
            settings.max_in_flight, settings.min_in_flight, limiter, lambda who: keys.current.scopes(who)
        )
        executor = Executor(
            services,
            journal,
            SystemClock(),
            snapshot,
            new_run_id,
            new_canary,
            settings.max_in_flight,
            [collector],
            budgets=budgets,
            admission=admission,
        )
        answers = Answers(settings.answer_cache_bytes, time.monotonic)
        answering = Answering(executor, snapshot, retriever, answers, Coalescer())
        gateway = Gateway(
            executor, journal, guard, retriever, reranker, snapshot, time.perf_counter, answering
        )
        idempotency = Idempotency(database, StoredPayloads(database, wrapping), time.time)
        stack.push_async_callback(idempotency.aclose)
        state = HttpState(
            gateway,
            settings,
            lambda: keys.current,
            _readiness(context.snapshots, channels),
            experiments,
            idempotency,
        )
        await stack.enter_async_context(_http(state, listening, settings, keys.prepare))
        stack.callback(gateway.end_following)  # before the server stops, which waits for open streams
        await stack.enter_async_context(_repeated(lambda: asyncio.to_thread(keys.refresh), _KEYS_REFRESH))
        await stack.enter_async_context(_repeated(keys.refresh_tokens, _KEYS_REFRESH))
        await stack.enter_async_context(_repeated(limiter.tend, LIMITS_TENDED))
        yield [
            Servicer(
                gateway_pb2_grpc.add_GatewayServiceServicer_to_server,
                prepared(
                    GatewayServicer(gateway, lambda: keys.current, experiments, idempotency), keys.prepare
                ),
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


def _refuse_open_gateway(settings: GatewaySettings, http: socket.socket) -> None:
    for host in (http.getsockname()[0], parse_address(settings.listen)[0]):
        if settings.api_keys_file is None and not is_loopback(host):
            raise FailedPrecondition(
                f"without API keys the gateway listens on loopback only, not on {host}; "
                "name a keys file in SLUICE_API_KEYS_FILE"
            )


def _listen(address: str) -> socket.socket:
    if address.startswith("fd:"):
        return socket.socket(fileno=int(address.removeprefix("fd:")))
    try:
        return bound_socket(address)
    except OSError as error:
        raise FailedPrecondition(
            f"cannot listen on {address}: {error.strerror}; choose another port in SLUICE_HTTP_LISTEN",
            reason="ADDRESS_IN_USE",
        ) from error


@asynccontextmanager
async def _http(
    state: HttpState, listening: socket.socket, settings: GatewaySettings, prepare: Prepare
) -> AsyncIterator[None]:
    config = uvicorn.Config(
        Preparing(make_app(state), prepare),
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=int(settings.drain_seconds),
        server_header=False,
    )
    server = uvicorn.Server(config)
    # Signals are the service's, which drains this server in its turn.
    serving = asyncio.create_task(server._serve([listening]))  # noqa: SLF001 - serve() would take the signals
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _readiness(
    snapshots: Snapshots, channels: Mapping[str, grpc.aio.Channel]
) -> Callable[[], Awaitable[list[str]]]:
    stubs = {name: health_pb2_grpc.HealthStub(channel) for name, channel in channels.items()}

    async def check(name: str) -> str:
        try:
            reply = await stubs[name].Check(  # type: ignore[attr-defined]  # missing in its stubs
                health_pb2.HealthCheckRequest(), timeout=_HEALTH_TIMEOUT
            )
        except ServiceError as error:
            return f"{name}: {error.message}"
        serving = reply.status == health_pb2.HealthCheckResponse.SERVING
        return "" if serving else f"{name}: starting or draining"

    async def not_ready() -> list[str]:
        found = await asyncio.gather(*(check(name) for name in stubs))
        missing = [reason for reason in found if reason]
        if not snapshots.ready:
            missing.append("snapshot: none has arrived yet")
        return missing

    return not_ready


@asynccontextmanager
async def _repeated(work: Callable[[], Awaitable[None]], seconds: float) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:  # the next time may go better
                _LOG.exception("what is done every %s s failed", seconds)

    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await repeating


if __name__ == "__main__":
    main()
