"""`sluice status`: what runs here, and by which snapshot."""

import asyncio
from dataclasses import asdict

import httpx
from rich.table import Table
from rich.text import Text

from sluice_cli.errors import CommandError
from sluice_cli.options import DEFAULT_DATA, Data, Output, OutputFormat, prints_data
from sluice_cli.supervising.layout import Layout, UpRecord, read_record
from sluice_cli.terminal import out, print_data, state


@prints_data
def status(data: Data = DEFAULT_DATA, output: Output = OutputFormat.TABLE) -> None:
    """Show the processes, whether they answer, and the snapshot each runs by.

    Exits 0 when everything answers, 1 when not.
    """
    record = read_record(Layout(data))
    not_ready = _not_ready(record)
    snapshots, problems = asyncio.run(_snapshots(record))
    if output is not OutputFormat.TABLE:
        found = {"not_ready": not_ready, "snapshots": snapshots, "problems": problems}
        print_data({**asdict(record), **found}, output)
    else:
        out.print(process_table(record, snapshots))
        out.print(f"HTTP API  {record.url}/v1     gRPC API  {record.grpc_address}")
        for service, problem in ((name, each) for name, found in problems.items() for each in found):
            out.print(Text(f"{service}: {problem}", style="yellow"))
    if not_ready:
        raise CommandError("not ready: " + "; ".join(not_ready), f"the logs are in {data / 'logs'}")


def process_table(record: UpRecord, snapshots: dict[str, str] | None = None) -> Table:
    """The processes as a table."""
    table = Table("process", "state", "pid", "address", "restarts")
    if snapshots is not None:
        table.add_column("snapshot")
    for process in record.processes:
        cells = [
            process.name,
            state(process.state),
            str(process.pid or "–"),
            process.address,
            str(process.restarts),
        ]
        if snapshots is not None:
            cells.append(_compared(snapshots.get(process.name, ""), record.snapshot_digest))
        table.add_row(*cells)
    return table


def _compared(digest: str, current: str) -> str:
    if not digest:
        return "[red]none[/]"
    return f"{digest[7:19]}" if digest == current else f"[yellow]{digest[7:19]} (older)[/]"


def _not_ready(record: UpRecord) -> list[str]:
    try:
        found = httpx.get(f"{record.url}/readyz", timeout=5.0).json().get("not_ready", [])
    except (httpx.HTTPError, ValueError) as error:
        return [f"gateway: {error or 'does not answer'}"]
    return [str(reason) for reason in found]


async def _snapshots(record: UpRecord) -> tuple[dict[str, str], dict[str, list[str]]]:
    """By service: the digest that it runs by, and what of that is not in force."""
    from sluice.snapshot.v1 import snapshot_pb2, snapshot_pb2_grpc  # see `up`
    from sluice_servicekit.channels import open_channel
    from sluice_servicekit.errors import ServiceError

    async with open_channel(record.snapshot_address, peer="snapshot server") as channel:
        stub = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        try:
            reply = await stub.ListWatchers(snapshot_pb2.ListWatchersRequest(), timeout=5.0)
        except ServiceError:
            return {}, {}
    return (
        {entry.watcher.service: entry.accepted_digest for entry in reply.watchers},
        {entry.watcher.service: list(entry.problems) for entry in reply.watchers if entry.problems},
    )
