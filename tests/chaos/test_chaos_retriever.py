"""kill -9 at any moment leaves every document whole: the version before or the one after, never a mixture."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.integration.retriever.conftest import SNAPSHOT, Client, running

from sluice.retriever.v1 import retriever_pb2, retriever_pb2_grpc
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import Unavailable

pytestmark = pytest.mark.needs("procfs")  # which workers a process has

DOCUMENTS = 6
CHUNKS = 5
DEADLINE = 30.0


@dataclass
class Writer:
    """Writes one version of all documents after another, and notes what was acknowledged."""

    client: Client
    version: int = 0
    acknowledged: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    enough: bool = False

    async def run(self) -> None:
        """Writes until the retriever dies, or until it is enough: a death between two writes goes unnoticed."""
        while not self.enough:
            await self.write()

    async def write(self) -> None:
        """Writes the next version of all documents."""
        self.version += 1

        async def requests() -> AsyncIterator[retriever_pb2.IngestRequest]:
            for number in range(DOCUMENTS):
                name = f"d{number}"
                self.sent[name] = self.version
                document = retriever_pb2.Document(id=name, text=text(self.version))
                yield retriever_pb2.IngestRequest(
                    principal=self.client.principal, knowledge_base="short", document=document
                )

        async for reply in self.client.stub.Ingest(requests()):
            assert reply.chunks == CHUNKS
            self.acknowledged[reply.document_id] = self.version


def text(version: int) -> str:
    """A document that is cut into `CHUNKS` chunks, each of which names the version."""
    return " ".join(
        f"Version {version} part {part} is a sentence that fills up more than half of a small chunk, it is."
        for part in range(CHUNKS)
    )


async def check(client: Client, writer: Writer) -> None:
    """Every document is one version whole, and none older than what was acknowledged."""
    passages = (await patiently(client, "version part sentence")).passages
    found: dict[str, list[str]] = defaultdict(list)
    for passage in passages:
        found[passage.document_id].append(passage.text)
    for name, pieces in found.items():
        [version] = {int(piece.split()[1]) for piece in pieces}
        assert len(pieces) == CHUNKS, (name, pieces)
        assert writer.acknowledged[name] <= version <= writer.sent[name]
    assert {name for name, version in writer.acknowledged.items() if version} <= set(found)
    assert await client.usage() == (len(found), len(found) * CHUNKS)


async def patiently(client: Client, query: str) -> retriever_pb2.SearchResponse:
    """The answer, once somebody is there to give it."""
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while True:
        try:
            return await client.search(query, top_k=1000)
        except Unavailable:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.1)


async def test_killing_the_worker_leaves_every_document_whole(tmp_path: Path) -> None:
    moments = random.Random(4711)
    async with running(tmp_path) as client:
        short = replace(client, knowledge_base="short")
        writer = Writer(short)
        await replace(short, tenant="other").ingest([{"id": "a", "text": "Now the parser runs."}])
        await asyncio.wait_for(writer.write(), DEADLINE)
        for _ in range(6):
            await patiently(short, "version")
            writing = asyncio.create_task(writer.run())
            await asyncio.sleep(moments.uniform(0.05, 0.8))
            kill_store_worker(os.getpid())
            writer.enough = True
            with suppress(Unavailable):
                await asyncio.wait_for(writing, DEADLINE)
            writer.enough = False
            await check(short, writer)

    assert writer.version > 6
    assert all(version > 0 for version in writer.acknowledged.values())


async def test_a_read_survives_the_death_of_the_worker(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        await client.ingest([{"id": "a", "text": "Otters sleep."}])
        kill_store_worker(os.getpid())

        assert await client.found("otters") == ["a"]


async def test_a_document_survives_the_death_of_its_parser(tmp_path: Path) -> None:
    slow = b"<body>" + b"<i></i>" * 100_000 + b"<p>Otters sleep.</p></body>"
    async with running(tmp_path) as client:
        await client.ingest([{"id": "a", "text": "The parser runs."}])
        document = {"id": "b", "content": slow, "media_type": "text/html"}
        ingesting = asyncio.create_task(client.ingest([document]))
        await asyncio.sleep(0.3)
        kill_parsers(os.getpid())
        [reply] = await ingesting

        found = await client.found("otters")

    assert (reply.outcome, reply.chunks) == (retriever_pb2.INGEST_OUTCOME_STORED, 1)
    assert found[0] == "b"


async def test_a_write_says_unavailable_when_the_worker_dies_and_works_again_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        writing = asyncio.create_task(Writer(replace(client, knowledge_base="short")).run())
        while not writing.done():
            await asyncio.sleep(0.5)
            kill_store_worker(os.getpid())
        [failure] = await asyncio.gather(writing, return_exceptions=True)

        [reply] = await client.ingest([{"id": "b", "text": "Bees dance."}])

    assert isinstance(failure, Unavailable)
    assert failure.retry_after is not None
    assert reply.outcome == retriever_pb2.INGEST_OUTCOME_STORED


async def test_killing_the_whole_process_group_leaves_every_document_whole(tmp_path: Path) -> None:
    moments = random.Random(1174)
    (tmp_path / "snapshot.json").write_bytes(SNAPSHOT.content)
    writer: Writer | None = None
    for last in (False, False, True):
        async with process(tmp_path) as client:
            await patiently(client, "version")
            writer = replace(writer, client=client) if writer else Writer(client)
            await check(client, writer)
            writing = asyncio.create_task(writer.run())
            # A busy machine may have written nothing by any moment that is fixed.
            while last and sum(version > 0 for version in writer.acknowledged.values()) < DOCUMENTS:
                assert not writing.done(), writing
                await asyncio.sleep(0.01)
            await asyncio.sleep(moments.uniform(0.1, 1.0))
        [failure] = await asyncio.gather(writing, return_exceptions=True)
        assert isinstance(failure, Unavailable), failure
    async with process(tmp_path) as client:
        assert writer is not None
        await check(client, replace(writer, client=client))
    assert all(version > 0 for version in writer.acknowledged.values())


async def test_the_worker_dies_with_its_parent_alone_killed(tmp_path: Path) -> None:
    (tmp_path / "snapshot.json").write_bytes(SNAPSHOT.content)
    async with process(tmp_path) as client:
        await patiently(client, "version")
        parent = client_process(client)
        workers = children(parent)
        os.kill(parent, signal.SIGKILL)
        for _ in range(100):
            if not any(alive(worker) for worker in workers):
                break
            await asyncio.sleep(0.05)

        assert len(workers) == 1
        assert not any(alive(worker) for worker in workers)


@dataclass(frozen=True)
class ProcessClient(Client):
    """A client that knows its server's process."""

    pid: int = 0


def client_process(client: Client) -> int:
    assert isinstance(client, ProcessClient)
    return client.pid


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[Client]:
    """The real service in a process group of its own, which is killed at the end."""
    port = free_port()
    environment = {
        **os.environ,
        "SLUICE_LISTEN": f"127.0.0.1:{port}",
        "SLUICE_DATA_DIR": str(folder),
        # Nobody is there: the service starts from the copy it kept.
        "SLUICE_SNAPSHOT_ADDRESS": f"127.0.0.1:{free_port()}",
        "SLUICE_LOG_LEVEL": "ERROR",
    }
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sluice_retriever", env=environment, start_new_session=True
    )
    try:
        async with open_channel(f"127.0.0.1:{port}", peer="retriever") as channel:
            yield ProcessClient(
                retriever_pb2_grpc.RetrieverServiceStub(channel), None, knowledge_base="short", pid=server.pid
            )
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            await asyncio.wait_for(server.wait(), DEADLINE)
            await asyncio.sleep(0.1)  # what is under way on the channel hears of it
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def children(pid: int) -> list[int]:
    """Worker processes below a process; the resource tracker is none."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"multiprocessing.spawn" in command:
                found.append(int(child))
    return found


def kill_store_worker(pid: int) -> None:
    for child in children(pid):
        if holds(child, "register.sqlite"):
            os.kill(child, signal.SIGKILL)


def kill_parsers(pid: int) -> None:
    for child in children(pid):
        if not holds(child, "register.sqlite"):
            os.kill(child, signal.SIGKILL)


def holds(pid: int, name: str) -> bool:
    """True where a process has a file of that name open."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if link.readlink().name == name:
                return True
    return False


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
