"""A guardrail as a process of its own on one core, and loads on it."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from sluice.guardrail.v1 import guardrail_pb2, guardrail_pb2_grpc
from sluice.snapshot.v1 import snapshot_pb2_grpc
from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_api.snapshot import CompiledPolicy, Snapshot
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.grpc_server import Servicer, serving
from sluice_servicekit.snapshot_server import Publisher, SnapshotServicer

#: Its core; this client takes the others.
_CORE = 0
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Guardrail:
    """A running one."""

    stub: guardrail_pb2_grpc.GuardrailServiceStub
    process: psutil.Process
    start_seconds: float
    """From its start to its first verdict."""

    @property
    def resident_mib(self) -> float:
        """Memory that it holds."""
        return float(self.process.memory_info().rss) / (1 << 20)

    @property
    def cpu_seconds(self) -> float:
        """CPU that it took so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    async def guard(self, text: str, policy: str = "default") -> guardrail_pb2.Verdict:
        """What a policy makes of what a user writes."""
        request = guardrail_pb2.GuardRequest(policy=policy, channel=guardrail_pb2.CHANNEL_USER, text=text)
        return (await self.stub.Guard(request)).verdict


@asynccontextmanager
async def guardrail(
    folder: Path, policies: Mapping[str, GuardrailPolicySpec], environment: Mapping[str, str]
) -> AsyncIterator[Guardrail]:
    """One for the length of the block, ready."""
    snapshot = Snapshot(
        guardrail_policies={name: CompiledPolicy(version=name, spec=spec) for name, spec in policies.items()}
    )
    servicer = Servicer(
        snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server,
        SnapshotServicer(Publisher(snapshot)),
        "sluice.snapshot.v1.SnapshotService",
    )
    everywhere = os.sched_getaffinity(0)
    async with serving([servicer]) as snapshots:
        address = f"127.0.0.1:{_free_port()}"
        settings = {
            "SLUICE_LISTEN": address,
            "SLUICE_SNAPSHOT_ADDRESS": snapshots,
            "SLUICE_DATA_DIR": str(folder),
            "SLUICE_LOG_LEVEL": "WARNING",
        }
        started = time.monotonic()
        os.sched_setaffinity(0, {_CORE})  # a child inherits it
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sluice_guardrail", env={**os.environ, **settings, **environment}
        )
        os.sched_setaffinity(0, everywhere - {_CORE} or everywhere)
        try:
            async with open_channel(address, peer="guardrail") as channel:
                running = Guardrail(
                    guardrail_pb2_grpc.GuardrailServiceStub(channel), psutil.Process(child.pid), 0.0
                )
                await _answers(running)
                yield Guardrail(running.stub, running.process, time.monotonic() - started)
        finally:
            os.sched_setaffinity(0, everywhere)
            child.terminate()
            await child.wait()


@dataclass(frozen=True)
class Load:
    """What became of some calls."""

    milliseconds: Sequence[float]
    """Of each, from when it should have left."""
    cpu_milliseconds: float
    """The guardrail's, for each call."""
    verdicts: Sequence[guardrail_pb2.Verdict]

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return float(np.percentile(self.milliseconds, share))

    def share(self, of: Callable[[guardrail_pb2.Verdict], bool]) -> float:
        """Share of the verdicts."""
        return sum(map(of, self.verdicts)) / len(self.verdicts)


async def open_loop(
    there: Guardrail, texts: Sequence[str], utilisation: float, policy: str = "default"
) -> Load:
    """Calls at a fixed rate, answered or not, that keeps the core busy for a share of the time."""
    warm = texts[: max(3, len(texts) // 10)]
    started = time.perf_counter()
    for text in warm:
        await there.guard(text, policy)
    every = (time.perf_counter() - started) / len(warm) / utilisation
    asked = texts[len(warm) :]
    before, began = there.cpu_seconds, time.perf_counter()

    async def ask(index: int) -> tuple[float, guardrail_pb2.Verdict]:
        due = began + index * every
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        verdict = await there.guard(asked[index], policy)
        return (time.perf_counter() - due) * 1000, verdict

    answered = await asyncio.gather(*map(ask, range(len(asked))))
    cpu = (there.cpu_seconds - before) * 1000 / len(asked)
    return Load([each for each, _ in answered], cpu, [verdict for _, verdict in answered])


async def together(there: Guardrail, texts: Sequence[str]) -> Load:
    """All calls at once."""
    before, began = there.cpu_seconds, time.perf_counter()

    async def ask(text: str) -> tuple[float, guardrail_pb2.Verdict]:
        verdict = await there.guard(text)
        return (time.perf_counter() - began) * 1000, verdict

    answered = await asyncio.gather(*map(ask, texts))
    cpu = (there.cpu_seconds - before) * 1000 / len(texts)
    return Load([each for each, _ in answered], cpu, [verdict for _, verdict in answered])


async def _answers(there: Guardrail) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            await there.guard("Hello.")
        except ServiceError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
