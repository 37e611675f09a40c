"""What a generation of a knowledge base is made of: names of vectors and payload fields, and what cannot change."""

from enum import StrEnum

from pydantic import Field

from sluice_api.objects.base import Model
from sluice_api.objects.knowledge_base import (
    DenseVectors,
    Embedding,
    KnowledgeBaseSpec,
    SparseVectors,
    TokenVectors,
)
from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.model import TOKEN_DIMENSION
from sluice_retriever.store import exact_tokens


class Vector(StrEnum):
    """Named vectors of a point."""

    DENSE = "dense"
    SPARSE = "bm25"
    TOKENS = "tokens"
    EXACT_TOKENS = "exact_tokens"
    """Only where `tokens.match` says so, like the one before: rows of bytes, for MaxSim with Euclid."""


#: What holds the rows of each way to match tokens, and how long they are.
TOKEN_VECTORS = {TokenMatch.ANY: Vector.TOKENS, TokenMatch.EXACT: Vector.EXACT_TOKENS}
TOKEN_DIMENSIONS = {TokenMatch.ANY: TOKEN_DIMENSION, TokenMatch.EXACT: exact_tokens.DIMENSION}


class Payload(StrEnum):
    """Payload fields of a point."""

    TENANT = "tenant"
    DOCUMENT = "document"
    WRITE = "write"
    ACL = "acl"
    METADATA = "metadata"
    TRUE_FIELDS = "true_fields"
    FALSE_FIELDS = "false_fields"
    EXPIRES = "expires"
    """Epoch seconds; absent where it never does."""
    CHUNK = "chunk"
    ORDINAL = "ordinal"
    TITLE = "title"
    SECTION = "section"
    TEXT = "text"
    WORDING = "wording"
    """Names title and text: chunks with the same have the same vectors."""
    SENTENCES = "sentences"
    SENTENCE_VECTORS = "sentence_vectors"


#: Payload fields that filters use and no text.
INDEXED = (Payload.DOCUMENT, Payload.WRITE, Payload.ACL)


class Shape(Model):
    """The part of a spec that a generation keeps for its whole life."""

    embedding: Embedding = Embedding()
    dense: DenseVectors = DenseVectors()
    tokens: TokenVectors = TokenVectors()
    sparse: SparseVectors = SparseVectors()

    @classmethod
    def of(cls, spec: KnowledgeBaseSpec) -> "Shape":
        """The shape that a spec asks for."""
        return cls(embedding=spec.embedding, dense=spec.dense, tokens=spec.tokens, sparse=spec.sparse)


#: Of the stored form. A generation of another one is refused.
FORMAT = 2


class Manifest(Model):
    """What a generation is, written with its first byte."""

    generation: str
    """Its name; later ones sort after earlier ones."""
    model_digest: str
    """Of the model that encodes its chunks and the questions to it."""
    dense_dimension: int
    shape: Shape
    format: int = Field(default=FORMAT)
