"""How a search was carried out, for whoever asks."""

from collections.abc import Mapping
from dataclasses import dataclass

from sluice_api.objects.retrieval import Acorn
from sluice_retriever.domain.model import Leg
from sluice_retriever.domain.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one knowledge base was searched."""

    knowledge_base: str
    parameters: Parameters
    """In effect."""
    candidates: Mapping[Leg, int]
    """By leg."""
    model_digest: str
    """Of the model that encoded the question."""
    generation: str
    acorn: Acorn | None = None
    """What was chosen; None where no graph is searched."""
    acorn_reason: str = ""
    selectivity: float | None = None
    """Share of the tenant's chunks that the filter is estimated to let pass."""
    self_query_filter_json: str = ""
    """The filter read out of the question, as JSON of the REST API."""
    self_query_phrases: tuple[str, ...] = ()
    """What of the question it was read from."""
