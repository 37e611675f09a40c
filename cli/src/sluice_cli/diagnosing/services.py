"""Group `services`: what `sluice up` runs on the data folder."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sluice_cli.diagnosing import logs, snapshots
from sluice_cli.diagnosing.findings import Check, Finding, failed, ok, skipped, warning
from sluice_cli.diagnosing.subject import Subject
from sluice_cli.supervising.layout import ProcessRecord, UpRecord
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import ServiceError

GROUP = "services"

SUPERVISOR = "sluice up"

_SECONDS = 3.0
#: A process that was started again and is younger than this may be about to die once more.
_YOUNG_SECONDS = 60.0


@dataclass(frozen=True)
class ProcessFacts:
    """One process."""

    name: str
    pid: int
    """0 while there is none."""
    stopped: bool
    """It was sent SIGSTOP."""
    health: str
    """Why it does not answer a health check; empty where it does."""
    restarts: int
    age: float
    """Seconds since it was started."""
    log: Path
    last_error: str
    """The last line of its log that tells of an error."""


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    record = subject.running
    readiness = [Check(GROUP, "readiness", lambda: [_readiness(subject.url)])] if subject.url else []
    if record is None:
        nothing = skipped("processes", "no `sluice up` runs on this data folder")
        return [Check(GROUP, "processes", lambda: [nothing]), *readiness]
    return [
        Check(
            GROUP, "processes", lambda: [judge_process(facts) for facts in asyncio.run(_processes(record))]
        ),
        Check(GROUP, SUPERVISOR, lambda: [asyncio.run(_supervisor(record))]),
        Check(GROUP, "snapshots", lambda: asyncio.run(snapshots.look(record))),
        *readiness,
    ]


def judge_process(facts: ProcessFacts) -> Finding:
    """Whether a process is there, answers, and stays."""
    said = f"; the last error in its log: {facts.last_error}" if facts.last_error else ""
    again = f", started again {_times(facts.restarts)}" if facts.restarts else ""
    if not facts.pid:
        return failed(facts.name, f"is down{again}{said}", f"see its log: {facts.log}")
    if facts.stopped:
        return failed(facts.name, f"process {facts.pid} was stopped by a signal", f"kill -CONT {facts.pid}")
    if facts.health:
        remedy = f"see its log: {facts.log}; if it hangs, `kill -9 {facts.pid}`: it is started again"
        return failed(facts.name, f"process {facts.pid} does not answer: {facts.health}{said}", remedy)
    if facts.restarts and facts.age < _YOUNG_SECONDS:
        detail = f"process {facts.pid} answers{again}, last {facts.age:.0f} s ago{said}"
        return warning(facts.name, detail, f"see its log: {facts.log}")
    return ok(facts.name, f"process {facts.pid} answers{again}")


def judge_supervisor(pid: int, stopped: bool, health: str) -> Finding:
    """Whether `sluice up` itself goes on."""
    if stopped:
        return failed(SUPERVISOR, f"process {pid} was stopped by a signal", f"kill -CONT {pid}")
    if health:
        remedy = f"end it with `kill {pid}` and start it again"
        return failed(SUPERVISOR, f"process {pid} does not answer: {health}", remedy)
    return ok(SUPERVISOR, f"process {pid} serves the snapshot")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _readiness(url: str) -> Finding:
    try:
        reply = httpx.get(f"{url}/readyz", timeout=_SECONDS, trust_env=False)
        missing = [str(reason) for reason in reply.json().get("not_ready", [])]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError) as error:
        remedy = "see the log of the gateway, or name its address in --url"
        return failed("readiness", f"{url}/readyz: {error or type(error).__name__}", remedy)
    if missing:
        return failed("readiness", "; ".join(missing), "see the log of what is named there")
    return ok("readiness", f"{url} is ready to answer")


async def _processes(record: UpRecord) -> list[ProcessFacts]:
    return list(await asyncio.gather(*(_process(process) for process in record.processes)))


async def _process(process: ProcessRecord) -> ProcessFacts:
    try:
        seen = psutil.Process(process.pid) if process.pid else None
        stopped = seen is not None and seen.status() == psutil.STATUS_STOPPED
        age = time.time() - seen.create_time() if seen is not None else 0.0
        pid = process.pid
    except psutil.NoSuchProcess:
        pid, stopped, age = 0, False, 0.0
    health = await _health(process.address) if pid and not stopped else ""
    log = Path(process.log)
    unwell = health or not pid or process.restarts
    error = logs.last_error(await asyncio.to_thread(logs.end_of, log)) if unwell else ""
    return ProcessFacts(process.name, pid, stopped, health, process.restarts, age, log, error)


async def _supervisor(record: UpRecord) -> Finding:
    stopped = psutil.Process(record.pid).status() == psutil.STATUS_STOPPED
    return judge_supervisor(record.pid, stopped, "" if stopped else await _health(record.snapshot_address))


async def _health(address: str) -> str:
    async with open_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)  # type: ignore[attr-defined]  # missing in its stubs
        except ServiceError as error:
            return error.message
    return "" if reply.status == health_pb2.HealthCheckResponse.SERVING else "it is starting or ending"
