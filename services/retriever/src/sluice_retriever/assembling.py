"""Planned documents into what is stored: what is encoded already is taken over, the rest encoded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter

from sluice_retriever.domain import documents
from sluice_retriever.domain.chunking import context_line
from sluice_retriever.domain.model import Chunk, Ingested, Outcome
from sluice_retriever.planning import Plan
from sluice_retriever.store import coding
from sluice_retriever.store.knowledge_bases import Home
from sluice_retriever.store.messages import Coded, Part, Piece, Stored
from sluice_retriever.store.reading import SLICE_CHUNKS
from sluice_servicekit import telemetry_names as names

_ENCODED = Counter(names.CHUNKS_ENCODED, "Chunks encoded by ingestion", ("knowledge_base",))


@dataclass(frozen=True, slots=True)
class Run:
    """A run of one document's chunks."""

    plan: Plan
    start: int
    end: int

    @property
    def ends_document(self) -> bool:
        """The document is whole with it."""
        return self.end == len(self.plan.chunks)

    @property
    def chunks(self) -> list[tuple[str, Chunk]]:
        """Its chunks, each with its context line."""
        return [
            (context_line(self.plan.title, chunk.section), chunk)
            for chunk in self.plan.chunks[self.start : self.end]
        ]

    @property
    def outcome(self) -> Ingested:
        """What has become of the document once the run is written."""
        if self.ends_document:
            return self.plan.outcome
        return Ingested(
            self.plan.document.id,
            Outcome.IN_PROGRESS,
            chunks=self.end,
            total_chunks=len(self.plan.chunks),
        )


def slices(plans: Sequence[Plan]) -> Iterator[list[Run]]:
    """Runs in order, a slice's worth at a time; a document that needs no write is an empty run."""
    slice_: list[Run] = []
    size = 0
    for plan in plans:
        start = 0
        while True:
            end = min(len(plan.chunks), start + SLICE_CHUNKS - size)
            slice_.append(Run(plan, start, end))
            size += end - start
            if size == SLICE_CHUNKS:
                yield slice_
                slice_, size = [], 0
            if end == len(plan.chunks):
                break
            start = end
    if slice_:
        yield slice_


async def assemble(
    slice_: Sequence[Run], tenant: str, home: Home, stored: Mapping[str, Stored]
) -> list[Part]:
    """The parts to write for a slice.

    Args:
        slice_: What is to be stored.
        tenant: Whose.
        home: Where.
        stored: What is in force of these documents.
    """
    runs = [run for run in slice_ if run.plan.chunks]
    kept = [await _kept(run, tenant, home, stored.get(run.plan.document.id)) for run in runs]
    new = [
        chunk
        for run, known in zip(runs, kept, strict=True)
        for index, chunk in enumerate(run.chunks)
        if index not in known
    ]
    matches = home.manifest.shape.tokens.match
    encoded = iter(await home.encoder.chunks(new) if new else ())
    _ENCODED.labels(home.name).inc(len(new))
    return [
        _part(
            run,
            tenant,
            home,
            [
                known[index].coded if index in known else coding.encode(next(encoded), matches)
                for index in range(run.end - run.start)
            ],
        )
        for run, known in zip(runs, kept, strict=True)
    ]


async def _kept(run: Run, tenant: str, home: Home, stored: Stored | None) -> dict[int, Piece]:
    """Chunks of the run, by index in it, that the document's write in force has in the same words."""
    if stored is None or not documents.is_by_model(stored.digest, home.encoder.model_digest):
        return {}
    names = [documents.wording(context, chunk.text) for context, chunk in run.chunks]
    pieces = await home.store.pieces(tenant, stored.write_id, names)
    known = {documents.wording(piece.title, piece.chunk.text): piece for piece in pieces}
    return {
        index: known[name]
        for index, (name, (_, chunk)) in enumerate(zip(names, run.chunks, strict=True))
        if name in known and known[name].chunk.sentences == chunk.sentences
    }


def _part(run: Run, tenant: str, home: Home, coded: Iterable[Coded]) -> Part:
    document, plan = run.plan.document, run.plan
    return Part(
        write_id=plan.write_id,
        tenant=tenant,
        document_id=document.id,
        digest=plan.digest,
        metadata_json=document.metadata_json,
        acl=document.acl,
        expires=document.expires,
        pieces=tuple(
            Piece(
                chunk=chunk,
                chunk_id=documents.chunk_id(tenant, home.name, document.id, ordinal, chunk),
                title=context,
                coded=vectors,
            )
            for ordinal, ((context, chunk), vectors) in enumerate(
                zip(run.chunks, coded, strict=True), run.start
            )
        ),
        start=run.start,
        total=len(plan.chunks) if run.ends_document else None,
    )
