"""Parameters of one retrieval, with every default filled in."""

from dataclasses import dataclass

from sluice_api.objects.retrieval import Acorn, Fusion, Parent, Retrieval, SelfQuery, TokenMatch, override
from sluice_retriever.domain.model import Leg

#: What holds where neither request, pipeline nor knowledge base says otherwise.
DEFAULTS = Retrieval.model_validate(
    {
        "leg_limit": 100,
        "oversampling": 3.0,
        "acorn": Acorn.AUTO,
        "token_match": TokenMatch.ANY,
        "fusion": {"k": 2, "dense": 1.0, "sparse": 1.0, "tokens": 1.0, "keyword": 0.5},
        "min_similarity": -1.0,
        "max_per_document": 0,
        "diversity": 0.0,
        "neighbours": 0,
        "parent": Parent.NONE,
        "self_query": SelfQuery.OFF,
        "keyword_timeout": "150ms",
    }
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """A `Retrieval` whose every field is decided; see there for what each means."""

    leg_limit: int
    oversampling: float
    acorn: Acorn
    token_match: TokenMatch
    k: int
    weights: dict[Leg, float]
    min_similarity: float
    max_per_document: int
    diversity: float
    neighbours: int
    parent: Parent
    self_query: SelfQuery
    keyword_timeout: float
    """Seconds."""


def as_json(parameters: Parameters) -> str:
    """Parameters as the REST API takes them."""
    fields = {name: getattr(parameters, name) for name in Retrieval.model_fields if name != "fusion"}
    fusion = Fusion.model_validate({"k": parameters.k, **parameters.weights})
    return Retrieval.model_construct(**fields, fusion=fusion).model_dump_json(by_alias=False)


def resolve(*levels: Retrieval) -> Parameters:
    """The parameters in effect; later levels override earlier ones, and all of them the defaults."""
    decided = DEFAULTS
    for level in levels:
        decided = override(decided, level)
    fields = {name: getattr(decided, name) for name in Retrieval.model_fields if name != "fusion"}
    weights = {leg: getattr(decided.fusion, leg) for leg in Leg}
    return Parameters(**fields, k=decided.fusion.k or 1, weights=weights)
