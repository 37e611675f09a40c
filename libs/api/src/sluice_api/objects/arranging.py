"""What a pipeline's `rerank` step does with scores: fusion, boosts, duplicates, diversity."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model, Name
from sluice_api.objects.cel import Rule, exactly_one_of
from sluice_api.objects.rules import exactly_one

Weight = Annotated[float, Field(ge=0.0, le=100.0)]
LogOdds = Annotated[float, Field(ge=-10.0, le=10.0)]
MetadataField = Annotated[str, Field(min_length=1, max_length=128)]


class Source(StrEnum):
    """Who places candidates."""

    RANKER = "ranker"
    """The step's ranker."""
    RETRIEVAL = "retrieval"
    """The order of retrieval."""
    DENSE = "dense"
    SPARSE = "sparse"
    TOKENS = "tokens"
    KEYWORD = "keyword"


class FusionMethod(StrEnum):
    """How the scores of several sources become one, from 0 to 1."""

    RRF = "rrf"
    """By reciprocal rank: `weight / (k + rank)`, over the most that could be (Cormack, Clarke and Büttcher 2009)."""
    DBSF = "dbsf"
    """By scores, each source's brought to 0 to 1 by its mean and three standard deviations (distribution-based score
    fusion, as in Qdrant)."""
    WEIGHTED = "weighted"
    """By scores, each source's brought to 0 to 1 by its least and its greatest."""
    CALIBRATED = "calibrated"
    """By scores read as probabilities, of which the log-odds are averaged (logarithmic opinion pool). A source without
    a `calibration` has to be one whose scores are probabilities, as the ranker's are."""


class Calibration(Model):
    """How a source's score becomes a probability: `1 / (1 + exp(-slope · (score - midpoint)))` (Platt 1999)."""

    slope: Annotated[float, Field(gt=0.0, le=1000.0)]
    midpoint: Annotated[float, Field(ge=-1000.0, le=1000.0)]
    """The score that is right as often as not."""


class Fusion(Model):
    """How the ranker's scores are mixed with others."""

    method: FusionMethod = FusionMethod.RRF
    weights: Annotated[
        dict[Source, Weight], Field(default={Source.RANKER: 1.0, Source.RETRIEVAL: 0.5}, min_length=1)
    ]
    """By source; one that is not named has no say."""
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Of `rrf`: small values trust the first ranks."""
    calibration: Annotated[dict[Source, Calibration], Field(default={})]
    """Of `calibrated`."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.weights.exists(source, self.weights[source] > 0.0)",
            "weights must hold one above zero",
            "_weighs",
            "weights",
        ),
    )

    @model_validator(mode="after")
    def _weighs(self) -> Self:
        if not any(self.weights.values()):
            raise ValueError("weights must hold one above zero")
        return self


class Freshness(Model):
    """Newer documents before older ones."""

    field: MetadataField
    """Of the document's metadata: a time or a date (RFC 3339), or Unix seconds."""
    half_life: Duration
    """The age at which half of the boost is left."""


class Matching(Model):
    """Documents that say so."""

    field: MetadataField
    """Of the document's metadata."""
    values: Annotated[tuple[str | int | float | bool, ...], Field(min_length=1, max_length=256)]
    """Any of them; of a list, any of its items."""


class Boost(Model):
    """More or less for some of the candidates. Exactly one of `freshness`, `matching` and `knowledgeBase`."""

    freshness: Freshness | None = None
    matching: Matching | None = None
    knowledge_base: Name | None = None
    """Candidates of this knowledge base."""
    log_odds: LogOdds
    """What is added to the logarithm of the score's odds: 0.7 doubles the odds, -0.7 halves them."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one_of("freshness", "matching", "knowledgeBase"),)

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self, "freshness", "matching", "knowledgeBase")


class Duplicates(StrEnum):
    """Which candidates count as the same; the best of them stands for all."""

    KEEP = "keep"
    """None."""
    EXACT = "exact"
    """Those of the same text, case and white space aside."""
    NEAR = "near"
    """Those, and candidates nine tenths of whose runs of three words are the same."""


class Arranging(Model):
    """What is done with the ranker's scores, in this order."""

    fusion: Fusion | None = None
    """Mixes the ranker's scores with other sources'; the ranker alone decides when absent."""
    boosts: Annotated[tuple[Boost, ...], Field(max_length=32)] = ()
    duplicates: Duplicates = Duplicates.KEEP
    diversity: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Maximal marginal relevance: 0 goes by the score alone, 1 by difference of words alone."""

    @property
    def changes_nothing(self) -> bool:
        """True where the ranker's order stays as it is."""
        return self == _NOTHING


_NOTHING = Arranging()
