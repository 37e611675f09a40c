"""Group `services`: the snapshot that each process runs by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc
from sluice_cli.diagnosing.findings import Finding, failed, ok, skipped, warning
from sluice_cli.supervising.layout import UpRecord
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import ServiceError

_SECONDS = 3.0


@dataclass(frozen=True)
class SnapshotFacts:
    """What a process runs by, as the snapshot server knows it."""

    name: str
    accepted: str
    """Empty where the process does not watch."""
    refused: str
    reason: str
    current: str
    problems: tuple[str, ...] = ()
    """What of the accepted one is not in force, and why."""


def judge_snapshots(found: Sequence[SnapshotFacts]) -> Iterator[Finding]:
    """Whether every process runs by the current snapshot."""
    behind = [facts for facts in found if facts.accepted != facts.current]
    for facts in behind:
        check = f"snapshot of {facts.name}"
        if facts.refused == facts.current:
            remedy = "correct the object that it names; what was in force before still is"
            yield failed(check, f"refused: {facts.reason}", remedy)
        elif not facts.accepted:
            remedy = "look again in a few seconds; if it stays so, start `sluice up` again"
            yield failed(check, "it has none, or does not watch for one", remedy)
        else:
            remedy = "look again in a few seconds; if it stays so, see its log"
            yield warning(check, f"{facts.accepted[:19]} is not the current one", remedy)
    for facts in found:
        for problem in facts.problems:
            remedy = "correct the object or what it asks for; its last good version stays where it has one"
            yield failed(f"objects of {facts.name}", problem, remedy)
    if not behind:
        yield ok("snapshots", f"all run by {found[0].current[:19]}" if found else "nobody watches")


async def look(record: UpRecord) -> list[Finding]:
    """Asks the snapshot server who has which."""
    async with open_channel(record.snapshot_address, peer="snapshot server") as channel:
        stub = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        try:
            reply = await stub.ListWatchers(snapshot_pb2.ListWatchersRequest(), timeout=_SECONDS)
        except ServiceError as error:
            return [skipped("snapshots", f"the snapshot server does not answer: {error.message}")]
    watching = {entry.watcher.service: entry for entry in reply.watchers}
    nobody = snapshot_pb2.WatcherStatus()
    found = [
        SnapshotFacts(
            name,
            entry.accepted_digest,
            entry.refused_digest,
            entry.reason,
            reply.current_digest,
            tuple(entry.problems),
        )
        for name in (process.name for process in record.processes)
        for entry in (watching.get(name, nobody),)
    ]
    return list(judge_snapshots(found))
