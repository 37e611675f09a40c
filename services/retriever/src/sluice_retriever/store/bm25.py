"""BM25's weights by Qdrant's own tokenizer, for whichever engine stores them."""

import qdrant_edge as edge
from qdrant_client import models

#: BM25's average length in words that count; a chunk has some 200 model tokens.
_AVERAGE_WORDS = 90.0


class SparseEncoder:
    """Texts to BM25 vectors; the engine adds the IDF."""

    def __init__(self) -> None:
        self._bm25 = edge.Bm25(edge.Bm25Config(avg_len=_AVERAGE_WORDS))

    def document(self, text: str) -> models.SparseVector:
        """A document's weights."""
        return _sparse(self._bm25.embed_document(text))

    def question(self, text: str) -> models.SparseVector:
        """A question's."""
        return _sparse(self._bm25.embed_query(text))


def _sparse(vector: edge.SparseVector) -> models.SparseVector:
    return models.SparseVector.model_construct(indices=list(vector.indices), values=list(vector.values))
