"""Who orders the passages that were found: the ranker of a pipeline's `rerank` step."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model
from sluice_api.objects.cel import Rule, at_most_one_of
from sluice_api.objects.rules import at_most_one


class EmbeddedRanker(Model):
    """What is known of a passage anyway: the legs' scores, its sentences, the words it shares with the question. Needs
    no model, reads no passage and takes a few milliseconds."""


class Precision(StrEnum):
    """The numbers that a model multiplies with."""

    INT8 = "int8"
    """8-bit integers: about twice as fast on a CPU, and nearly as good. Made once of a `float32` model, and kept in the
    data folder, where the folder holds no such file."""
    FLOAT32 = "float32"


class CrossEncoder(Model):
    """A cross-encoder on ONNX Runtime, from a folder as Hugging Face's tools export it: `model.onnx` or
    `onnx/model*.onnx`, `tokenizer.json`, `config.json`. Reads question and passage together, on the CPU."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """The folder, where the reranker runs."""
    max_tokens: Annotated[int, Field(ge=16, le=8192)] = 512
    """What it reads of question and passage together; the rest of the passage is cut off."""
    precision: Precision = Precision.INT8
    batch: Annotated[int, Field(ge=1, le=256)] = 8
    """Passages of like length in one pass of a `float32` model, as long as they are short: several in one pass have 512
    tokens at most. A model of 8-bit integers reads each by itself: its steps may depend on what is beside it, and a
    passage must score the same in any company."""


class SentenceTransformers(Model):
    """A `CrossEncoder` of sentence-transformers, which has to be installed beside the reranker."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """The folder, where the reranker runs. Nothing is downloaded."""
    max_tokens: Annotated[int, Field(ge=16, le=8192)] = 512
    """What it reads of question and passage together."""
    batch: Annotated[int, Field(ge=1, le=256)] = 8
    """Passages in one pass."""


class RerankProtocol(StrEnum):
    """What a server that ranks speaks."""

    TEI = "tei"
    """Text Embeddings Inference's `/rerank`; the URL ends before that."""
    COHERE = "cohere"
    """`/rerank` as Cohere, Jina and vLLM have it; the URL ends before that, as in `https://host/v1`."""


class RankerEndpoint(Model):
    """A server that ranks. Questions and passages are sent to it."""

    url: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]
    protocol: RerankProtocol = RerankProtocol.TEI
    api_key_secret: Annotated[str, Field(max_length=253)] = ""
    """Name of a Secret (or of a file in the secrets directory) that holds the API key."""
    model: Annotated[str, Field(max_length=256)] = ""
    """The model that is asked for; has to be set for `cohere`. A TEI server has one only."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 32
    """Passages in one request; a TEI server's own limit counts where it is lower."""
    timeout: Duration = 10.0
    """For one request."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.protocol != 'cohere' || self.model != ''",
            "model must be set where protocol is cohere",
            "_names_a_model",
            "model",
        ),
    )

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.protocol is RerankProtocol.COHERE and not self.model:
            raise ValueError("model must be set where protocol is cohere")
        return self


class LateInteraction(Model):
    """The built-in encoder reads each passage, and each token of the question finds the passage's token that is nearest
    to it (MaxSim, as ColBERT). Needs no further model, and takes 40 to 70 ms of a core for each passage."""


class Ranker(Model):
    """One ranker; the embedded one when nothing is said."""

    embedded: EmbeddedRanker | None = None
    cross_encoder: CrossEncoder | None = None
    sentence_transformers: SentenceTransformers | None = None
    endpoint: RankerEndpoint | None = None
    late_interaction: LateInteraction | None = None
    candidates: Annotated[int, Field(ge=1, le=1000)] = 50
    """How many of the passages found, the best of retrieval first, are read by a ranker that reads them. The others
    follow in the order of retrieval."""
    blend: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """The embedded ranker's share of the score of a passage that was read; none by default."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        at_most_one_of("embedded", "crossEncoder", "sentenceTransformers", "endpoint", "lateInteraction"),
        Rule(
            "!has(self.blend) || has(self.crossEncoder) || has(self.sentenceTransformers) || has(self.endpoint)"
            " || has(self.lateInteraction)",
            "blend mixes the embedded ranker into another one: name that, or leave it out",
            "_one",
            "blend",
        ),
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        at_most_one(self, "embedded", "crossEncoder", "sentenceTransformers", "endpoint", "lateInteraction")
        if self.blend is not None and self.is_embedded:
            raise ValueError("blend mixes the embedded ranker into another one: name that, or leave it out")
        return self

    @property
    def is_embedded(self) -> bool:
        """True where nothing else is asked for."""
        others = (self.cross_encoder, self.sentence_transformers, self.endpoint, self.late_interaction)
        return all(other is None for other in others)
