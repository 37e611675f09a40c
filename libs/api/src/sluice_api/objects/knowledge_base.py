"""`KnowledgeBase` (`kb`): where documents live and how they are found."""

from collections import Counter
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from sluice_api.objects.base import Duration, Model, SluiceObject
from sluice_api.objects.cel import SET, Rule, at_most_one_of, exactly_one_of
from sluice_api.objects.retrieval import Retrieval, TokenMatch
from sluice_api.objects.rules import at_most_one, exactly_one


class Quantization(StrEnum):
    """How dense vectors are held in memory; originals stay on disk for rescoring."""

    BINARY_32X = "binary-32x"
    """One bit a dimension, 8-bit queries; recall@10 .94 with oversampling 3, .97 with 4."""
    BINARY_16X = "binary-16x"
    """Two bits a dimension, 8-bit queries; recall@10 .98 with oversampling 3. In the embedded engine as `binary-32x`
    until a rebuild."""
    TURBO = "turbo"
    """Two-bit TurboQuant; recall@10 .997 with oversampling 3; needs Qdrant 1.18."""
    SCALAR = "scalar"
    """One byte a dimension; recall@10 1.0 with oversampling 2. In the embedded engine as `none` until a rebuild."""
    NONE = "none"
    """Float32."""


class Pooling(StrEnum):
    """How token states become one vector."""

    AUTO = "auto"
    """As the folder's `1_Pooling/config.json` says, else their mean."""
    MEAN = "mean"
    CLS = "cls"
    LAST = "last"


class Language(StrEnum):
    """Whose stop words and stems the BM25 leg knows."""

    AUTO = "auto"
    """English. In every language, text in scripts without blanks between words is cut into words by their script."""
    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"
    SPANISH = "es"
    ITALIAN = "it"
    PORTUGUESE = "pt"
    DUTCH = "nl"
    NONE = "none"
    """Neither stop words nor stems."""


class Graph(StrEnum):
    """Whether an HNSW graph is built over the dense vectors, or all codes are scanned."""

    AUTO = "auto"
    """On a Qdrant server; the embedded engine scans."""
    ON = "on"
    """Also in the embedded engine, when the knowledge base is rebuilt: faster from some 20,000 chunks on."""
    OFF = "off"


class DenseVectors(Model):
    """The dense leg."""

    quantization: Quantization = Quantization.TURBO
    graph: Graph = Graph.AUTO


class TokenVectors(Model):
    """The token leg."""

    match: Annotated[tuple[TokenMatch, ...], Field(max_length=2, json_schema_extra=SET)] = (TokenMatch.ANY,)
    """What is stored, so that `retrieval.tokenMatch` may ask for it: `any`, `exact`, both or nothing. Where it asks for
    nothing that is stored, the first of these holds."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("!('off' in self.match)", "match lists any and exact; [] stores no tokens", "_stored", "match"),
    )

    @model_validator(mode="after")
    def _stored(self) -> Self:
        if TokenMatch.OFF in self.match or len(set(self.match)) < len(self.match):
            raise ValueError("match lists any and exact, each once at most; [] stores no tokens")
        return self


class SparseVectors(Model):
    """The BM25 leg."""

    language: Language = Language.AUTO
    """Stop words and stemming."""


class BuiltinEmbedding(Model):
    """all-MiniLM-L6-v2, which needs no network."""


class OnnxEmbedding(Model):
    """An ONNX model in a folder with its tokenizer.json, as sentence-transformers exports it."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """The folder, as the retriever sees it."""
    file: Annotated[str, Field(max_length=255)] = ""
    """The model's file in it; `model.onnx` or `onnx/model.onnx` when empty."""
    pooling: Pooling = Pooling.AUTO
    query_prefix: Annotated[str, Field(max_length=512)] = ""
    """Encoded before every question."""
    document_prefix: Annotated[str, Field(max_length=512)] = ""
    """Encoded before every chunk."""
    max_tokens: Annotated[int, Field(ge=16, le=8192)] = 512
    """What the model reads at most."""


class EndpointEmbedding(Model):
    """An endpoint that encodes."""

    url: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]
    api_key_secret: Annotated[str, Field(max_length=253)] = ""
    """Name of a Secret (or of a file in the secrets directory) that holds the API key."""
    dimension: Annotated[int, Field(ge=8, le=8192)]
    """Length of its vectors; an answer of another length is refused."""
    query_prefix: Annotated[str, Field(max_length=512)] = ""
    """Encoded before every question."""
    document_prefix: Annotated[str, Field(max_length=512)] = ""
    """Encoded before every chunk."""
    batch: Annotated[int, Field(ge=1, le=2048)] = 32
    """Texts in one request."""
    timeout: Duration = 10.0
    """For one request; a request that failed may be sent again."""


class OpenAIEmbedding(EndpointEmbedding):
    """Any endpoint that speaks OpenAI's `/embeddings`; the URL ends before that, as in `https://host/v1`."""

    model: Annotated[str, Field(min_length=1, max_length=256)]


class TeiEmbedding(EndpointEmbedding):
    """Text Embeddings Inference's `/embed`; the URL ends before that."""


class Embedding(Model):
    """The model of the dense leg; the built-in one when nothing is said. Token and sentence vectors always come from
    the built-in one. A knowledge base remembers its model: another one takes effect with a rebuild."""

    builtin: BuiltinEmbedding | None = None
    onnx: OnnxEmbedding | None = None
    open_ai: OpenAIEmbedding | None = Field(default=None, alias="openAI")
    tei: TeiEmbedding | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (at_most_one_of("builtin", "onnx", "openAI", "tei"),)

    @model_validator(mode="after")
    def _one(self) -> Self:
        return at_most_one(self, "builtin", "onnx", "openAI", "tei")


class EmbeddedKeyword(Model):
    """Tantivy, in the retriever's data folder: of one retriever alone."""


class SearchServer(Model):
    """Elasticsearch or OpenSearch."""

    url: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]
    api_key_secret: Annotated[str, Field(max_length=253)] = ""
    """Name of a Secret (or of a file in the secrets directory) that holds `user:password`, or an API key as
    Elasticsearch encodes it."""
    index: Annotated[str, Field(max_length=200, pattern=r"^$|^[a-z0-9][a-z0-9._-]*$")] = ""
    """The index; `sluice-` and the knowledge base's name when empty. Made where there is none; one that is there needs
    the keyword fields `tenant`, `write` and `document` and the text field `text`, with any analyzer."""


class Keyword(Model):
    """A keyword store as a leg of its own, beside the vectors. Its words are cut as `sparse.language` says; `auto` is
    English here. It may be slow or down: answers go on without it, and what it missed is made good."""

    embedded: EmbeddedKeyword | None = None
    open_search: SearchServer | None = None
    elasticsearch: SearchServer | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one_of("embedded", "openSearch", "elasticsearch"),)

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self, "embedded", "openSearch", "elasticsearch")


class FieldType(StrEnum):
    """What a metadata field holds; a list of it, too."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"
    """RFC 3339, in UTC where it names no offset, or a date alone."""
    GEO = "geo"
    """`{"lat": 52.5, "lon": 13.4}`."""
    TEXT = "text"
    """Words of it can be looked for."""


class MetadataField(Model):
    """A metadata field that filters may name."""

    LIST_KEYS: ClassVar[tuple[str, ...]] = ("name",)

    name: Annotated[
        str, Field(max_length=512, pattern=r"""^[^\x00-\x1f"\\.\[\]]+(\.[^\x00-\x1f"\\.\[\]]+)*$""")
    ]
    """Dots reach into objects."""
    type: FieldType
    description: Annotated[str, Field(max_length=1024)] = ""
    aliases: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(max_length=64)
    ] = ()
    """Other words for it in questions."""


def _named_once(fields: tuple[MetadataField, ...]) -> tuple[MetadataField, ...]:
    counts = Counter(field.name for field in fields)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise ValueError(f"fields are declared twice: {', '.join(twice)}")
    return fields


MetadataFields = Annotated[tuple[MetadataField, ...], Field(max_length=256), AfterValidator(_named_once)]


class ChunkingMethod(StrEnum):
    """Where documents are cut."""

    HEADING = "heading"
    """At headings, and between whole sentences; the heading path is encoded with the chunk."""
    SENTENCE = "sentence"
    """Between whole sentences; headings are text like any other."""
    RECURSIVE = "recursive"
    """At the largest break that fits: paragraphs, lines, sentences, words."""


class Chunking(Model):
    """How documents are cut; sentences stay whole unless one alone is longer than a chunk."""

    method: ChunkingMethod = ChunkingMethod.HEADING
    max_tokens: Annotated[int, Field(ge=32, le=256)] = 200
    """Model tokens in a chunk; the embedding model reads 256."""
    overlap_sentences: Annotated[int, Field(ge=0, le=5)] = 1
    """Sentences repeated at the start of the next chunk."""


class Embedded(Model):
    """Qdrant Edge in the retriever's own worker process; one replica only."""


class SelfHosted(Model):
    """A Qdrant server, 1.17.1 or newer. Where it is a cluster, every call is routed to its tenant's shard."""

    url: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]
    """Of its REST API, at port 6333 where it names none; with `https`, gRPC speaks TLS too."""
    api_key_secret: Annotated[str, Field(max_length=253)] = ""
    """Name of a Secret (or of a file in the secrets directory) that holds the API key."""
    grpc_port: Annotated[int, Field(ge=1, le=65535)] = 6334
    """Searches and documents go over it."""
    fallback_shard: Annotated[str, Field(min_length=1, max_length=128)] = "default"
    """The shard key that all tenants share until they have one of their own; used where the server is a cluster."""
    shard_replicas: Annotated[int, Field(ge=1, le=16)] = 1
    """Copies of the shard that tenants share, each on another of the cluster's peers."""


class Deployment(Model):
    """Where the vectors live. The embedded engine when nothing is said."""

    embedded: Embedded | None = None
    self_hosted: SelfHosted | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (at_most_one_of("embedded", "selfHosted"),)

    @model_validator(mode="after")
    def _one(self) -> Self:
        return at_most_one(self, "embedded", "selfHosted")


class KnowledgeBaseSpec(Model):
    """How documents are cut, encoded, stored and found."""

    description: Annotated[str, Field(max_length=1024)] = ""
    embedding: Embedding = Embedding()
    dense: DenseVectors = DenseVectors()
    tokens: TokenVectors = TokenVectors()
    sparse: SparseVectors = SparseVectors()
    keyword: Keyword | None = None
    """A keyword store as a fourth leg; none when absent."""
    fields: MetadataFields = ()
    """Metadata fields that filters may name, with their types; any field, unchecked, when empty."""
    retrieval: Retrieval = Retrieval()
    """Parameters of retrieval where neither pipeline nor request says otherwise."""
    chunking: Chunking = Chunking()
    expire_after: Duration | None = None
    """How long after its last ingestion a document is kept that names no time itself; for ever when absent."""
    deployment: Deployment = Deployment()

    @property
    def leaves_the_machine(self) -> bool:
        """True where texts go to a server: to an endpoint that encodes them, or to a keyword store."""
        embedding, keyword = self.embedding, self.keyword or Keyword.model_construct()
        servers = (embedding.open_ai, embedding.tei, keyword.open_search, keyword.elasticsearch)
        return any(server is not None for server in servers)


class KnowledgeBase(SluiceObject):
    """A collection of documents, shared by tenants that never see each other's."""

    KIND: ClassVar[str] = "KnowledgeBase"
    SHORT_NAME: ClassVar[str] = "kb"
    PLURAL: ClassVar[str] = "knowledgebases"

    spec: KnowledgeBaseSpec = KnowledgeBaseSpec()
