"""Chunks as a keyword store holds them."""

from sluice_retriever.keyword.store import Entry
from sluice_retriever.store import points
from sluice_retriever.store.messages import Part


def of_part(part: Part) -> list[Entry]:
    """The entries of a part of a document."""
    return [
        Entry(
            point_id=points.point_id(part.write_id, piece.chunk_id),
            write_id=part.write_id,
            tenant=part.tenant,
            document_id=part.document_id,
            title=piece.title,
            text=piece.chunk.text,
        )
        for piece in part.pieces
    ]
