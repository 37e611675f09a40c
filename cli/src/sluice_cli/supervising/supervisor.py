"""Everything that one `sluice up` runs, for the length of a block."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from sluice.snapshot.v1 import snapshot_pb2_grpc
from sluice_api.errors import ObjectError
from sluice_cli import exits
from sluice_cli.errors import CommandError, usage
from sluice_cli.supervising import objects
from sluice_cli.supervising.child import EXIT_CONFIGURATION, Child, ChildSpec
from sluice_cli.supervising.layout import Layout, ProcessRecord, UpRecord, locked, write_record
from sluice_cli.supervising.plan import GATEWAY, SERVICES, Wiring, plan
from sluice_cli.supervising.ports import listening, reserved
from sluice_cli.terminal import err
from sluice_servicekit.grpc_server import Servicer, serving
from sluice_servicekit.snapshot_server import Publisher, SnapshotServicer

#: Seconds from the first process to the first answer.
_START_SECONDS = 180.0
#: Seconds a process has to end by itself; the services drain for five.
_STOP_SECONDS = 8.0


@dataclass(frozen=True)
class UpOptions:
    """What `sluice up` was told."""

    objects: Sequence[Path]
    data: Path
    listen: str
    grpc_listen: str = ""
    """A free port on loopback when empty."""
    api_keys: Path | None = None
    traces: str = ""


class Supervisor:
    """The processes and the snapshot they run by."""

    def __init__(self, layout: Layout, url: str, grpc_address: str, snapshot_address: str) -> None:
        self.url = url
        self._layout = layout
        self._grpc_address = grpc_address
        self._snapshot_address = snapshot_address
        self._digest = ""
        self.children: list[Child] = []
        self._keeping: dict[asyncio.Task[int], Child] = {}

    def start(self, specs: Sequence[ChildSpec], digest: str) -> None:
        """Starts all processes."""
        self._digest = digest
        self.children = [Child(spec, self._note) for spec in specs]
        self._keeping = {asyncio.create_task(child.keep_alive()): child for child in self.children}

    async def ready(self) -> None:
        """Returns once a question can be answered.

        Raises:
            CommandError: a process gave up, or it takes too long.
        """
        answering = asyncio.create_task(self._answering())
        try:
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.wait({answering, *self._keeping}, return_when=asyncio.FIRST_COMPLETED)
            self._raise_if_given_up()
            for child in self.children:
                child.has_served = True
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def given_up(self) -> None:
        """Raises once a process has given up; else waits for ever.

        Raises:
            CommandError: with the end of its log.
        """
        await asyncio.wait(self._keeping, return_when=asyncio.FIRST_COMPLETED)
        self._raise_if_given_up()

    async def stop(self) -> None:
        """Ends the gateway, which lets its runs end, then the services."""
        gateways = [child for child in self.children if child.spec.name == GATEWAY]
        services = [child for child in self.children if child.spec.name != GATEWAY]
        for group in (gateways, services):
            await asyncio.gather(*(child.stop(_STOP_SECONDS) for child in group))
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)

    def snapshot_changed(self, digest: str) -> None:
        """Notes the snapshot in force."""
        self._digest = digest
        self._note()

    async def _answering(self) -> None:
        not_ready = ["gateway: starting"]
        async with httpx.AsyncClient(base_url=self.url, timeout=5.0) as http:
            while not_ready:
                with suppress(httpx.HTTPError, ValueError):
                    not_ready = (await http.get("/readyz")).json().get("not_ready", [])
                await asyncio.sleep(0.05)

    def _raise_if_given_up(self) -> None:
        for task, child in self._keeping.items():
            if task.done() and not task.cancelled() and task.result() == EXIT_CONFIGURATION:
                raise CommandError(
                    f"{child.spec.name} cannot start:\n{child.last_words(4)}",
                    f"its log: {child.spec.log}",
                    exits.USAGE,
                )

    @property
    def record(self) -> UpRecord:
        """What runs now."""
        return UpRecord(
            pid=os.getpid(),
            url=self.url,
            grpc_address=self._grpc_address,
            snapshot_address=self._snapshot_address,
            snapshot_digest=self._digest,
            processes=tuple(_record(child) for child in self.children),
        )

    def _note(self) -> None:
        write_record(self._layout, self.record)


def _record(child: Child) -> ProcessRecord:
    state = "running" if child.pid else "restarting"
    spec = child.spec
    return ProcessRecord(spec.name, child.pid, spec.address, state, child.restarts, str(spec.log))


@asynccontextmanager
async def supervising(options: UpOptions) -> AsyncIterator[Supervisor]:
    """Everything up and ready, for the length of the block.

    Raises:
        CommandError: an object, a port or the data folder cannot be used.
    """
    try:
        compilation = objects.compile_files(options.objects)
    except ObjectError as error:
        raise usage(str(error), "nothing was started") from error
    for warning in compilation.warnings:
        err.print(f"[yellow]warning:[/] {warning}", markup=True)
    layout = Layout(options.data.absolute())
    publisher = Publisher(compilation.snapshot)
    servicer = Servicer(
        snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server,
        SnapshotServicer(publisher),
        "sluice.snapshot.v1.SnapshotService",
    )
    with (
        locked(layout),
        listening(options.listen, "--listen") as http,
        reserved((*SERVICES, GATEWAY)) as services,
        reserved((*SERVICES, GATEWAY)) as metrics,
    ):
        if options.grpc_listen:
            services[GATEWAY] = options.grpc_listen
        async with serving([servicer]) as snapshot_address:
            wiring = Wiring(services, metrics, snapshot_address, http.fileno())
            supervisor = Supervisor(layout, _url(http), wiring.services[GATEWAY], snapshot_address)
            modules = objects.modules_folder(options.objects)
            specs = plan(layout, wiring, os.environ, options.api_keys, options.traces, modules)
            supervisor.start(specs, compilation.snapshot.digest)
            watching = asyncio.create_task(_follow(options.objects, publisher, supervisor))
            try:
                await _until_ready(supervisor)
                yield supervisor
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await supervisor.stop()


async def _until_ready(supervisor: Supervisor) -> None:
    try:
        await supervisor.ready()
    except TimeoutError as error:
        words = "\n".join(f"{child.spec.name}: {child.last_words(1)}" for child in supervisor.children)
        raise CommandError(f"not ready after {_START_SECONDS:.0f} s:\n{words}") from error


async def _follow(paths: Sequence[Path], publisher: Publisher, supervisor: Supervisor) -> None:
    async for outcome in objects.changes(paths):
        if isinstance(outcome, ObjectError):
            err.print("[red]the changed objects cannot be used; what was in force stays:[/]")
            err.print(str(outcome), markup=False)
        elif outcome.snapshot.digest != publisher.digest:
            await publisher.publish(outcome.snapshot)
            supervisor.snapshot_changed(outcome.snapshot.digest)
            err.print("objects changed: the new snapshot is out")


def _url(http: socket.socket) -> str:
    host, port = http.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
