"""Builds a knowledge base anew beside the generation in force, then swaps. What was built outlives any death."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace

from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain import documents
from sluice_retriever.store import coding
from sluice_retriever.store.grouping import by_tenant
from sluice_retriever.store.knowledge_bases import Building, KnowledgeBases
from sluice_retriever.store.messages import Part, Piece, Stocked, Stored
from sluice_retriever.store.reading import SLICE_CHUNKS, documents_of, parts_of
from sluice_retriever.store.store import Store


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is."""

    generation: str
    documents: int
    total: int
    done: bool = False


async def rebuild(knowledge_bases: KnowledgeBases, name: str) -> AsyncGenerator[Progress]:
    """Builds what the spec now asks for and puts it in force; what an earlier attempt built is not built again.

    Searches and writes go on meanwhile; writes wait only while the last changes are brought over.

    Raises:
        NotFound: there is no such knowledge base.
        FailedPrecondition: it is being rebuilt already.
    """
    async with knowledge_bases.building(name) as building:
        home = knowledge_bases.home(name)
        total = 0
        async for page in documents_of(home.store):
            total += len(page)
        async for done in _bring_over(home.store, building):
            yield Progress(building.manifest.generation, min(done, total), total)
        await building.filling.finish()
        async with home.writing.alone():
            async for _ in _bring_over(home.store, building):
                pass
            await knowledge_bases.take(name, building)
        yield Progress(building.manifest.generation, total, total, done=True)


async def _bring_over(source: Store, building: Building) -> AsyncIterator[int]:
    """Makes the new generation hold what the other does; gives the number of documents after each page."""
    target = building.filling.store
    await _remove_gone(source, target)
    done = 0
    async for page in documents_of(source):
        async for parts in _slices(source, await _missing(target, page)):
            await target.write(await _encoded(parts, building))
        done += len(page)
        yield done


async def _remove_gone(source: Store, target: Store) -> None:
    async for page in documents_of(target):
        for tenant, rows in by_tenant(page).items():
            ids = [row.document_id for row in rows]
            known = await source.stored(tenant, ids)
            if gone := [document for document in ids if document not in known]:
                await target.delete(tenant, gone)


async def _missing(target: Store, page: Sequence[Stocked]) -> list[Stocked]:
    """Documents that the target has not, or not as they are now."""
    missing: list[Stocked] = []
    for tenant, rows in by_tenant(page).items():
        known = await target.stored(tenant, [row.document_id for row in rows])
        missing += [row for row in rows if not _is_same(known.get(row.document_id), row)]
    return missing


def _is_same(known: Stored | None, row: Stocked) -> bool:
    return known is not None and (known.write_id, known.expires) == (row.write_id, row.expires)


async def _slices(source: Store, rows: Sequence[Stocked]) -> AsyncIterator[list[Part]]:
    """Parts of the documents, some `SLICE_CHUNKS` chunks at a time. What was replaced meanwhile is left out; the next
    comparison finds it."""
    slice_: list[Part] = []
    size = 0
    for row in rows:
        async for part in parts_of(source, row):
            slice_.append(part)
            size += len(part.pieces)
            if size >= SLICE_CHUNKS:
                yield slice_
                slice_, size = [], 0
    if slice_:
        yield slice_


async def _encoded(parts: Sequence[Part], building: Building) -> list[Part]:
    """The parts as the new generation's model encodes them; as they are where they hold all that it asks for."""
    matches = building.manifest.shape.tokens.match
    if building.same_vectors:
        return [replace(part, pieces=tuple(_kept(piece, matches) for piece in part.pieces)) for part in parts]
    pieces = [piece for part in parts for piece in part.pieces]
    vectors = iter(await building.encoder.chunks([(piece.title, piece.chunk) for piece in pieces]))

    def anew(piece: Piece) -> Piece:
        return replace(piece, coded=coding.encode(next(vectors), matches))

    return [
        replace(
            part,
            digest=documents.with_model(part.digest, building.manifest.model_digest),
            pieces=tuple(anew(piece) for piece in part.pieces),
        )
        for part in parts
    ]


def _kept(piece: Piece, matches: Iterable[TokenMatch]) -> Piece:
    stored = piece.coded.tokens
    return replace(piece, coded=replace(piece.coded, tokens={match: stored[match] for match in matches}))
