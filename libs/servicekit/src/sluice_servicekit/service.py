"""The life of a service process: settings, telemetry, snapshot, server, drain."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Generic, TypeVar

import uvloop
from pydantic import ValidationError

from sluice.snapshot.v1 import snapshot_pb2
from sluice_servicekit import logs, metrics, settings_report, tracing
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.grpc_server import GrpcServer, Servicer, bind_server
from sluice_servicekit.settings import ServiceSettings
from sluice_servicekit.snapshots import Snapshots, watch

__all__ = ["EXIT_CONFIGURATION", "Build", "ServiceContext", "Servicer", "run_service", "serve"]

_LOG = logging.getLogger(__name__)

#: The exit code that says "a person must change something": restarting would not help.
EXIT_CONFIGURATION = 2

S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True)
class ServiceContext(Generic[S]):
    """What a service is built from."""

    settings: S
    snapshots: Snapshots


#: Builds a service and, on leaving, takes it down.
Build = Callable[[ServiceContext[S]], AbstractAsyncContextManager[list[Servicer]]]


def run_service(name: str, settings_class: type[S], load: Callable[[], Build[S]]) -> None:
    """Runs a service until SIGTERM or SIGINT, then drains it. Exits 2 where its configuration is wrong.

    With `--settings` it prints its settings as JSON instead, see `settings_report`.

    Args:
        load: Imports what builds the service: telling the settings needs none of it, and it takes a second.
    """
    if sys.argv[1:] == ["--settings"]:
        sys.stdout.write(
            settings_report.as_json(settings_report.settings_of(settings_class, os.environ)) + "\n"
        )
        return
    try:
        settings = settings_class()
        logs.set_up(name, settings.log_level, settings.log_format)
        tracing.set_up(name, settings.instance, settings.traces)
        metrics.serve(settings.metrics_listen)
        uvloop.run(_run(name, settings, load()))
    except (ValidationError, ValueError, OSError) as error:
        _fail(name, str(error))
    except ServiceError as error:
        _fail(name, error.message)
    finally:
        tracing.shut_down()


def _fail(name: str, message: str) -> None:
    sys.stderr.write(f"sluice-{name}: {message}\n")
    sys.exit(EXIT_CONFIGURATION)


async def _run(name: str, settings: S, build: Build[S]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with serve(name, settings, build) as server:
        _LOG.info("listening on port %d", server.port)
        gc.collect()
        gc.freeze()  # what the process has loaded stays: later collections need not look at it again
        await stop.wait()
        _LOG.info("draining")


@asynccontextmanager
async def serve(name: str, settings: S, build: Build[S]) -> AsyncIterator[GrpcServer]:
    """A service for the length of the block. It holds its port at once, and answers with a snapshot."""
    snapshots = Snapshots(settings.data_dir / "snapshot.json" if settings.snapshot_address else None)
    async with build(ServiceContext(settings, snapshots)) as servicers:
        server = await bind_server(servicers, settings.listen, max_message_bytes=settings.max_message_bytes)
        announcing = asyncio.create_task(_announce(name, settings, snapshots, server))
        try:
            yield server
        finally:
            announcing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await announcing
            await server.drain(settings.drain_seconds)


async def _announce(name: str, settings: ServiceSettings, snapshots: Snapshots, server: GrpcServer) -> None:
    await snapshots.load_last_good()
    if not settings.snapshot_address:
        await server.start()
        return
    watcher = snapshot_pb2.Watcher(
        service=name, instance=settings.instance, version=version("sluice-servicekit")
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch(snapshots, settings.snapshot_address, watcher))
        await snapshots.wait_ready()
        await server.start()
