"""The operator's process: login, metrics, probe, Lease, and the work itself."""

import asyncio
import gc
import logging
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from pydantic import ValidationError

from sluice_operator import metrics
from sluice_operator.assembly import BuildKinds, Dependencies, own_namespace
from sluice_operator.cluster.connecting import connect
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.protocol import Cluster
from sluice_operator.leading import Lease
from sluice_operator.operating import before, run_operator
from sluice_operator.probing import Health, probe
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.wakeups import Wakeups
from sluice_operator.settings import OperatorSettings
from sluice_servicekit import logs, tracing
from sluice_servicekit import metrics as common_metrics
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.service import EXIT_CONFIGURATION

_LOG = logging.getLogger(__name__)

#: The exit code that says that another process may be at work; a restart stands by.
EXIT_LEASE_LOST = 3


def run_process(build_kinds: BuildKinds) -> None:
    """Runs until SIGTERM or SIGINT. Exits 2 where a person must change something first."""
    try:
        settings = OperatorSettings()
        logs.set_up("operator", settings.log_level, settings.log_format)
        tracing.set_up("operator", settings.instance, settings.traces)
        common_metrics.serve(settings.metrics_listen)
        _collect_seldom()
        asyncio.run(operate(settings, build_kinds))
    except (ValidationError, ValueError, OSError) as error:
        _fail(str(error))
    except ServiceError as error:
        _fail(error.message)
    finally:
        tracing.shut_down()


async def operate(
    settings: OperatorSettings,
    build_kinds: BuildKinds,
    *,
    stop: asyncio.Event | None = None,
    ready: asyncio.Event | None = None,
    lost: Callable[[str], None] | None = None,
) -> None:
    """The process's work, until `stop` is set or a signal comes.

    Args:
        ready: Set once the work is done here, and no longer by another process.
        lost: Told why the Lease is lost; the process ends at once where unset.

    Raises:
        FailedPrecondition: there is no way to log in to an API server.
    """
    stop = stop or _stop_by_signal()
    health = Health(pass_limit=2 * settings.resync_seconds + 60.0)
    metrics.LEADER.set(0)
    async with (
        probe(settings.probe_listen, health),
        connect(settings.kubeconfig, settings.kube_context) as client,
    ):
        cluster = KubeCluster(client, settings.api_connections)
        async with _leading(settings, cluster, stop, lost or _end) as leads:
            if not leads:
                return
            metrics.LEADER.set(1)
            mirror, wakeups = Mirror(), Wakeups(metrics.WAKEUP_SECONDS.observe)
            synced = asyncio.Event()

            async def filled() -> None:
                await synced.wait()

            built = build_kinds(Dependencies(settings, cluster, mirror, wakeups, filled))
            async with (
                built if isinstance(built, AbstractAsyncContextManager) else nullcontext(built) as kinds
            ):
                await run_operator(
                    kinds,
                    client,
                    cluster,
                    mirror,
                    wakeups,
                    settings,
                    stop=stop,
                    ready=ready,
                    synced=synced,
                    health=health,
                )
            health.leads = False
    metrics.LEADER.set(0)


@asynccontextmanager
async def _leading(
    settings: OperatorSettings, cluster: Cluster, stop: asyncio.Event, lost: Callable[[str], None]
) -> AsyncIterator[bool]:
    if not settings.leader_election:
        yield True
        return
    lease = Lease(
        cluster,
        own_namespace(settings),
        settings.lease_name,
        f"{settings.instance}_{uuid.uuid4().hex[:8]}",
        settings.lease_seconds,
    )
    _LOG.info("standing by for the Lease %s", settings.lease_name)
    if not await before(lease.acquire(), stop):
        yield False
        return
    async with lease.held(lost):
        yield True


def _collect_seldom() -> None:
    """A mirror of thousands of objects, none of them garbage, is a long way for the collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _end(why: str) -> None:
    # Another process may be at work already: nothing more may be written, not even on the way out.
    _LOG.critical("the Lease is lost: %s; the process ends", why)
    logging.shutdown()
    os._exit(EXIT_LEASE_LOST)


def _stop_by_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):  # kopf takes them over once it runs
        loop.add_signal_handler(signum, stop.set)
    return stop


def _fail(message: str) -> None:
    sys.stderr.write(f"sluice-operator: {message}\n")
    sys.exit(EXIT_CONFIGURATION)
