"""A collection stored as a knowledge base, and its questions asked there: through the retriever's own code."""

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import track

from evaluation.encoded import RememberingEncoder
from evaluation.labelled import Collection
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_retriever.arriving import Arrivals
from sluice_retriever.domain.model import Document, Outcome, Passage, QuestionVectors, Reader
from sluice_retriever.domain.parameters import Parameters
from sluice_retriever.fetching.fetcher import Fetched
from sluice_retriever.ingestion import Ingestion
from sluice_retriever.preparing.preparer import Bounds, Preparer
from sluice_retriever.service import Retriever, opened
from sluice_retriever.settings import RetrieverSettings
from sluice_retriever.store.bm25 import SparseEncoder
from sluice_retriever.store.knowledge_bases import Home, KnowledgeBases
from sluice_retriever.store.messages import Lookup
from sluice_retriever.store.schema import FORMAT
from sluice_servicekit.fetching.failures import FetchFailed

CACHE = Path(__file__).parents[2] / ".cache" / "evaluation"

KNOWLEDGE_BASE = "evaluation"
TENANT = "evaluation"

#: Documents in one call, as the command line sends them.
GROUP = 64

#: Questions on their way at once: one is encoded while another is looked up.
_AT_ONCE = 2


@dataclass(frozen=True)
class Asked:
    """A question and all its candidates, best of the fusion first."""

    text: str
    passages: list[Passage]
    vectors: QuestionVectors | None = None
    """Of the question, where it was encoded."""


@asynccontextmanager
async def stored(collection: Collection, spec: KnowledgeBaseSpec | None = None) -> AsyncIterator[Retriever]:
    """A retriever that holds the collection. What a run before has stored stays, as far as ingestion finds it unchanged
    and the folder's name says that it would be stored the same; what has to be stored anew is not encoded again."""
    spec = spec or KnowledgeBaseSpec()
    settings = RetrieverSettings(data_dir=CACHE / f"{collection.name}-{_key(collection, spec)}")
    bounds = Bounds(settings.parser_processes, settings.parser_seconds, settings.parser_memory_mib << 20)
    async with opened(settings) as retriever:
        await retriever.knowledge_bases.apply({KNOWLEDGE_BASE: spec})
        with closing(Preparer(bounds)) as preparer:
            arrivals = Arrivals(_NothingToFetch(), time.time)
            ingestion = Ingestion(_Remembering(retriever.knowledge_bases), arrivals, preparer)
            await ingest(ingestion, collection.documents, collection.name)
        yield retriever


class _NothingToFetch:
    """No document names a URL."""

    async def fetch(self, url: str) -> Fetched:
        raise FetchFailed(url)


class _Remembering(KnowledgeBases):
    """Knowledge bases whose encoder remembers."""

    def __init__(self, inner: KnowledgeBases) -> None:
        self._inner = inner
        home = inner.home(KNOWLEDGE_BASE)
        self._encoder = RememberingEncoder(home.encoder, CACHE / "encoded.sqlite")

    def home(self, name: str) -> Home:
        """A knowledge base."""
        return replace(self._inner.home(name), encoder=self._encoder)


async def ask(
    retriever: Retriever, questions: Mapping[str, str], parameters: Parameters, label: str
) -> dict[str, Asked]:
    """All candidates of all questions, with what each leg said of them."""
    home = retriever.knowledge_bases.home(KNOWLEDGE_BASE)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(text: str) -> Asked:
        async with turns:
            vectors = await home.encoder.question(text)
            everything = 2 * parameters.leg_limit
            lookup = Lookup(Reader(TENANT), text, vectors, everything, parameters, None, time.time())
            return Asked(text, (await home.store.search(lookup)).passages, vectors)

    asking = {query: asyncio.create_task(one(text)) for query, text in questions.items()}
    return {query: await asking[query] for query in track(asking, f"{label}: asking", disable=not _tty())}


def all_candidates(parameters: Parameters, leg_limit: int) -> Parameters:
    """The same with other legs, no candidate left out by its weight."""
    weights = {leg: weight or 1e-6 for leg, weight in parameters.weights.items()}
    return replace(parameters, leg_limit=leg_limit, weights=weights)


async def ingest(ingestion: Ingestion, documents: Sequence[Document], label: str) -> None:
    """Stores documents, and says how fast new ones were."""
    started, new = time.perf_counter(), 0
    for start in track(range(0, len(documents), GROUP), f"{label}: storing", disable=not _tty()):
        group = documents[start : start + GROUP]
        async for result in ingestion.ingest(TENANT, KNOWLEDGE_BASE, group):
            new += result.chunks if result.outcome is Outcome.STORED else 0
    if new:
        seconds = time.perf_counter() - started
        print(f"{label}: {len(documents)} documents, {new} new chunks, {new / seconds:.1f} a second")


def _key(collection: Collection, spec: KnowledgeBaseSpec) -> str:
    probe = SparseEncoder(spec.sparse.language).document(
        "The quick brown foxes were jumping over 12 lazy dogs; the foxes' lair is near."
    )
    content = [collection.digest, spec.model_dump_json(), FORMAT, probe.indices, probe.values]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _tty() -> bool:
    return sys.stderr.isatty()
