"""A running retriever: real server, real worker process, real engine and model."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from sluice.common.v1 import common_pb2
from sluice.retriever.v1 import retriever_pb2, retriever_pb2_grpc
from sluice_api.objects.knowledge_base import Chunking, KnowledgeBaseSpec
from sluice_api.snapshot import Snapshot
from sluice_retriever.encoding.encoder import Encoder
from sluice_retriever.service import build
from sluice_retriever.settings import RetrieverSettings
from sluice_servicekit.channels import open_channel
from sluice_servicekit.grpc_server import serving
from sluice_servicekit.service import ServiceContext
from sluice_servicekit.snapshots import Snapshots

#: `default` as the quickstart has it; `short` cuts small, so that little text makes many chunks.
SNAPSHOT = Snapshot(
    knowledge_bases={
        "default": KnowledgeBaseSpec(),
        "short": KnowledgeBaseSpec(chunking=Chunking(max_tokens=32, overlap_sentences=0)),
    }
)


@dataclass(frozen=True)
class Client:
    """The retriever as one principal sees it."""

    stub: retriever_pb2_grpc.RetrieverServiceStub
    snapshots: Snapshots
    tenant: str = "acme"
    acl: tuple[str, ...] = ()
    knowledge_base: str = "default"

    @property
    def principal(self) -> common_pb2.Principal:
        return common_pb2.Principal(tenant=self.tenant, acl=self.acl)

    async def ingest(
        self, documents: Iterable[retriever_pb2.Document | dict[str, object]], **more: object
    ) -> list[retriever_pb2.IngestResponse]:
        async def requests() -> AsyncIterator[retriever_pb2.IngestRequest]:
            for document in documents:
                yield retriever_pb2.IngestRequest(
                    principal=self.principal,
                    knowledge_base=self.knowledge_base,
                    document=retriever_pb2.Document(**document) if isinstance(document, dict) else document,
                    **more,
                )

        return [response async for response in self.stub.Ingest(requests())]

    async def search(self, query: str, top_k: int = 10, **more: object) -> retriever_pb2.SearchResponse:
        request = retriever_pb2.SearchRequest(
            principal=self.principal, knowledge_base=self.knowledge_base, query=query, top_k=top_k, **more
        )
        return await self.stub.Search(request)

    async def found(self, query: str, **more: object) -> list[str]:
        """The documents found, each once, best first."""
        response = await self.search(query, **more)
        return list(dict.fromkeys(passage.document_id for passage in response.passages))

    async def usage(self) -> tuple[int, int]:
        request = retriever_pb2.GetUsageRequest(principal=self.principal, knowledge_base=self.knowledge_base)
        usage = await self.stub.GetUsage(request)
        return usage.documents, usage.chunks


@asynccontextmanager
async def running(folder: Path, snapshot: Snapshot = SNAPSHOT, **more: object) -> AsyncIterator[Client]:
    """A retriever that keeps its data in `folder`; `more` are settings."""
    snapshots = Snapshots()
    settings = RetrieverSettings.model_validate({"data_dir": folder, **more})
    async with build(ServiceContext(settings, snapshots)) as servicers, serving(servicers) as address:
        refused = await snapshots.take(snapshot.digest, snapshot.content)
        assert refused == ""
        async with open_channel(address, peer="retriever") as channel:
            yield Client(retriever_pb2_grpc.RetrieverServiceStub(channel), snapshots)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """One retriever for a module's tests, which keep apart by tenant."""
    async with running(tmp_path_factory.mktemp("retriever")) as client:
        yield client


@pytest.fixture
def client(shared: Client, request: pytest.FixtureRequest) -> Client:
    """The shared retriever, as a tenant of this test alone."""
    return Client(shared.stub, shared.snapshots, tenant=request.node.name)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The model, loaded once."""
    return Encoder()
