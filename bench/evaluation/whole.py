"""What one vector for each whole document would find, and BM25 over whole documents."""

import os
import statistics
from collections.abc import Mapping

import numpy as np
import qdrant_edge as edge
from scipy import sparse

from evaluation.asking import CACHE
from evaluation.labelled import Collection
from sluice_retriever.domain.model import Chunk
from sluice_retriever.encoding.encoder import Encoder

#: The stages' names.
DENSE, BM25 = "dense, a vector a document", "BM25, whole documents"


def rankings(collection: Collection, questions: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Documents by question, for the dense vector and for BM25; the model reads a document's first 256 tokens."""
    encoder = Encoder(os.cpu_count() or 1)
    path = CACHE / f"whole-{collection.digest[:12]}-{encoder.model_digest[:12]}.npy"
    if not path.exists():
        chunks = [(document.title, Chunk(document.text, (), ())) for document in collection.documents]
        np.save(path, np.stack([vectors.dense for vectors in encoder.chunks(chunks)]))
    dense = np.load(path)
    asked = np.stack([encoder.question(text, dense_only=True).dense for text in questions.values()])
    found = {DENSE: asked @ dense.T, BM25: _bm25(collection, questions)}
    names = [document.id for document in collection.documents]
    return {
        stage: {
            query: [names[index] for index in np.argsort(-row, kind="stable")[:100]]
            for query, row in zip(questions, similarities, strict=True)
        }
        for stage, similarities in found.items()
    }


def _bm25(collection: Collection, questions: Mapping[str, str]) -> np.ndarray:
    texts = [f"{document.title}\n{document.text}" for document in collection.documents]
    # With so large a k and without b a weight is the number of times that a word occurs.
    counter = edge.Bm25(edge.Bm25Config(k=1e9, b=0.0))
    average = statistics.fmean(sum(counter.embed_document(text).values) for text in texts)
    encoder = edge.Bm25(edge.Bm25Config(avg_len=average))
    vectors = [encoder.embed_document(text) for text in texts]
    asked = [encoder.embed_query(text) for text in questions.values()]
    words, columns = np.unique(
        np.concatenate([vector.indices for vector in (*vectors, *asked)]), return_inverse=True
    )
    sizes = [len(vector.indices) for vector in (*vectors, *asked)]
    values = np.concatenate([vector.values for vector in (*vectors, *asked)])
    rows = np.repeat(np.arange(len(sizes)), sizes)
    matrix = sparse.csr_array((values, (rows, columns)), shape=(len(sizes), len(words)))
    documents, wanted = matrix[: len(vectors)], matrix[len(vectors) :]
    having = (documents > 0).sum(axis=0)
    # As the engine does: ln(1 + (N - n + 0.5) / (n + 0.5)).
    idf = np.log1p((len(vectors) - having + 0.5) / (having + 0.5))
    scores: np.ndarray = ((wanted * idf) @ documents.T).toarray()
    return scores
