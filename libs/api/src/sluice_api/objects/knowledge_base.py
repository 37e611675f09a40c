"""`KnowledgeBase` (`kb`): where documents live and how they are found."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Model, SluiceObject
from sluice_api.objects.rules import at_most_one


class Quantization(StrEnum):
    """How dense vectors are held in memory; originals stay on disk for rescoring."""

    BINARY_32X = "binary-32x"
    """One bit a dimension, 8-bit queries."""
    BINARY_16X = "binary-16x"
    """Two bits a dimension, 8-bit queries."""
    TURBO = "turbo"
    """Two-bit TurboQuant; needs Qdrant 1.18."""
    SCALAR = "scalar"
    """One byte a dimension."""
    NONE = "none"
    """Float32."""


class DenseVectors(Model):
    """The dense leg."""

    quantization: Quantization = Quantization.BINARY_16X
    oversampling: Annotated[float, Field(ge=1.0, le=32.0)] = 3.0
    """Candidates fetched by quantized score for each one kept after rescoring."""


class Fusion(Model):
    """How the legs' ranks become one score: the sum of `weight / (k + rank)`, ranks from zero."""

    k: Annotated[int, Field(ge=1, le=1000)] = 2
    """Small values trust the first ranks; Qdrant's default is 2, the paper's 60 equals 61 here."""
    dense: Annotated[float, Field(ge=0.0, le=100.0)] = 1.0
    sparse: Annotated[float, Field(ge=0.0, le=100.0)] = 1.0
    tokens: Annotated[float, Field(ge=0.0, le=100.0)] = 1.0


class Chunking(Model):
    """How documents are cut; sentences stay whole unless one alone is longer than a chunk."""

    max_tokens: Annotated[int, Field(ge=32, le=256)] = 200
    """Model tokens in a chunk; the embedding model reads 256."""
    overlap_sentences: Annotated[int, Field(ge=0, le=5)] = 1
    """Sentences repeated at the start of the next chunk."""


class Embedded(Model):
    """Qdrant Edge in the retriever's own worker process; one replica only."""


class SelfHosted(Model):
    """A Qdrant cluster by URL."""

    url: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]
    api_key_secret: Annotated[str, Field(max_length=253)] = ""
    """Name of a Secret (or of a file in the secrets directory) that holds the API key."""


class Deployment(Model):
    """Where the vectors live. The embedded engine when nothing is said."""

    embedded: Embedded | None = None
    self_hosted: SelfHosted | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        return at_most_one(self, "embedded", "selfHosted")


class KnowledgeBaseSpec(Model):
    """How documents are cut, encoded, stored and found."""

    description: Annotated[str, Field(max_length=1024)] = ""
    dense: DenseVectors = DenseVectors()
    fusion: Fusion = Fusion()
    chunking: Chunking = Chunking()
    deployment: Deployment = Deployment()


class KnowledgeBase(SluiceObject):
    """A collection of documents, shared by tenants that never see each other's."""

    KIND: ClassVar[str] = "KnowledgeBase"
    SHORT_NAME: ClassVar[str] = "kb"
    PLURAL: ClassVar[str] = "knowledgebases"

    spec: KnowledgeBaseSpec = KnowledgeBaseSpec()
