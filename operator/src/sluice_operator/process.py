"""The operator's process: login, metrics, probe, Lease, and the work itself."""

import asyncio
import logging
import sys

from pydantic import ValidationError

from sluice_operator import metrics
from sluice_operator.assembly import BuildKinds, Dependencies
from sluice_operator.cluster.connecting import connect
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.operating import run_operator
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.wakeups import Wakeups
from sluice_operator.settings import OperatorSettings
from sluice_servicekit import logs, tracing
from sluice_servicekit import metrics as common_metrics
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.service import EXIT_CONFIGURATION

_LOG = logging.getLogger(__name__)


def run_process(build_kinds: BuildKinds) -> None:
    """Runs until SIGTERM or SIGINT. Exits 2 where a person must change something first."""
    try:
        settings = OperatorSettings()
        logs.set_up("operator", settings.log_level, settings.log_format)
        tracing.set_up("operator", settings.instance, settings.traces)
        common_metrics.serve(settings.metrics_listen)
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
) -> None:
    """The process's work, until `stop` is set or a signal comes.

    Raises:
        FailedPrecondition: there is no way to log in to an API server.
    """
    stop = stop or asyncio.Event()
    async with connect(settings.kubeconfig, settings.kube_context) as client:
        cluster = KubeCluster(client, settings.api_connections)
        mirror, wakeups = Mirror(), Wakeups(metrics.WAKEUP_SECONDS.observe)
        kinds = build_kinds(Dependencies(settings, cluster, mirror, wakeups))
        await run_operator(kinds, client, cluster, mirror, wakeups, settings, stop=stop, ready=ready)


def _fail(message: str) -> None:
    sys.stderr.write(f"sluice-operator: {message}\n")
    sys.exit(EXIT_CONFIGURATION)
