"""`LoRAAdapter` (`lora`): an adapter, loaded into the vLLM pods of a `ModelServer` under a stable alias."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model, Name, SluiceObject
from sluice_api.objects.cel import Rule, exactly_one_of, immutable
from sluice_api.objects.rules import exactly_one

Path = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^/")]
Tenant = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class HuggingFaceSource(Model):
    """A repository on a hub."""

    repo: Annotated[str, Field(min_length=1, max_length=256)]
    revision: Annotated[str, Field(min_length=1, max_length=128)] = "main"


class S3Source(Model):
    """An object store."""

    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    key: Annotated[str, Field(min_length=1, max_length=1024)]
    endpoint: Annotated[str, Field(max_length=2048)] = ""


class HttpSource(Model):
    """An archive by URL."""

    url: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]


class PvcSource(Model):
    """A folder on a persistent volume."""

    claim_name: Name
    path: Annotated[str, Field(min_length=1, max_length=1024)]


class OciSource(Model):
    """An OCI artifact."""

    image: Annotated[str, Field(min_length=1, max_length=512)]


class LocalSource(Model):
    """A folder that the pods already have."""

    path: Path


class Source(Model):
    """Where the adapter's files come from; exactly one."""

    hugging_face: HuggingFaceSource | None = None
    s3: S3Source | None = None
    http: HttpSource | None = None
    pvc: PvcSource | None = None
    oci: OciSource | None = None
    local: LocalSource | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one_of("huggingFace", "s3", "http", "pvc", "oci", "local"),)

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self, "huggingFace", "s3", "http", "pvc", "oci", "local")


class Selectors(Model):
    """What requests the adapter serves besides those that name it."""

    task: Annotated[str, Field(max_length=63)] = ""
    locale: Annotated[str, Field(max_length=35, pattern=r"^([a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})*)?$")] = ""
    """A BCP 47 tag; `fr-CA` falls back to `fr`, then to the default."""


class Strategy(StrEnum):
    """Which pods load the adapter."""

    ALL = "All"
    SPREAD = "Spread"
    BIN_PACK = "BinPack"
    ORDERED = "Ordered"


class Placement(Model):
    """How many pods load the adapter, and which."""

    strategy: Strategy = Strategy.ALL
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    min_available: Annotated[int, Field(ge=1, le=1000)] = 1

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.strategy != 'All' || !has(self.replicas)",
            "replicas cannot be set where strategy is All: leave it out, or choose Spread, BinPack or Ordered",
            "_fits",
            "replicas",
        ),
        Rule(
            "!has(self.replicas) || self.minAvailable <= self.replicas",
            "minAvailable must not be more than replicas",
            "_fits",
            "minAvailable",
        ),
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.strategy is Strategy.ALL and self.replicas is not None:
            raise ValueError("replicas cannot be set where strategy is All")
        if self.replicas is not None and self.min_available > self.replicas:
            raise ValueError("minAvailable must not be more than replicas")
        return self


class Load(Model):
    """How a pod's load is tried."""

    timeout: Annotated[Duration, Field(ge=1.0, le=3600.0)] = 60.0
    """That the engine may take to load or unload it."""
    download_timeout: Annotated[Duration, Field(ge=1.0, le=86400.0)] = 300.0
    """That the agent may take to fetch and check its files."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """Failures in a row after which a pod is left alone until it or the spec changes."""
    backoff: Annotated[Duration, Field(ge=0.1, le=3600.0)] = 5.0
    """Before the second attempt; doubled with each."""
    max_backoff: Annotated[Duration, Field(ge=0.1, le=86400.0)] = 300.0
    """The longest wait."""


class DeletionPolicy(StrEnum):
    """What becomes of a loaded adapter when its object is deleted."""

    UNLOAD = "Unload"
    ORPHAN = "Orphan"


class Deletion(Model):
    """How the adapter leaves."""

    policy: DeletionPolicy = DeletionPolicy.UNLOAD
    drain: Annotated[Duration, Field(ge=0.0, le=86400.0)] = 60.0
    """Between a version's end in rotation and its unload: requests that came before are answered."""
    timeout: Annotated[Duration, Field(ge=0.0, le=604800.0)] = 300.0
    """That a deletion may take, the drain included, where pods do not let go of it; it is never shorter than that."""


class LoRAAdapterSpec(Model):
    """What to load, where, and under which name."""

    model_server_ref: Name
    model_name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """The alias that clients send; unique for its server."""
    revision: Annotated[str, Field(min_length=1, max_length=63)]
    """This version's label; changes together with `source` and never alone."""
    source: Source
    digest: Annotated[str, Field(max_length=71, pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""
    """Of the adapter's weights; resolved once where it is empty."""
    rank: Annotated[int, Field(ge=1, le=512)] | None = None
    """Checked against the adapter's own configuration."""
    selectors: Selectors = Selectors()
    tenants: Annotated[tuple[Tenant, ...], Field(max_length=1000)] = ()
    """Whose requests it may serve; everybody's when empty."""
    placement: Placement = Placement()
    load: Load = Load()
    rollback_window: Annotated[Duration, Field(ge=0.0, le=2592000.0)] = 3600.0
    """How long the revision before stays loaded after a change."""
    deletion: Deletion = Deletion()

    RULES: ClassVar[tuple[Rule, ...]] = (
        immutable("modelServerRef", "make a new adapter for the other server"),
        immutable("modelName", "clients send it; make a new adapter for the other alias"),
        Rule(
            "self.revision != oldSelf.revision || self.source == oldSelf.source"
            " && (self.digest == oldSelf.digest || oldSelf.digest == '')",
            "source and digest cannot change under the same revision: give the new version a revision of its own",
            field="revision",
        ),
        Rule(
            "self.revision == oldSelf.revision || self.source != oldSelf.source || self.digest != oldSelf.digest",
            "revision cannot change alone: it names a version, so name its source, or its digest, too",
            field="revision",
        ),
    )


class LoRAAdapter(SluiceObject):
    """An adapter on a model server."""

    KIND: ClassVar[str] = "LoRAAdapter"
    SHORT_NAME: ClassVar[str] = "lora"
    PLURAL: ClassVar[str] = "loraadapters"

    spec: LoRAAdapterSpec
