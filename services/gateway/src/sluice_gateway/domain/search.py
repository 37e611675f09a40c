"""What is asked of the knowledge bases, and what they gave."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sluice_api.objects.retrieval import Retrieval
from sluice_gateway.domain.model import FilterExpression, Passage, Vectors


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and where."""

    knowledge_base: str
    query: str
    top_k: int
    more_knowledge_bases: tuple[str, ...] = ()
    """Where else; what is found is ranked together."""
    vectors: Vectors | None = None
    """The query's, by the model of `knowledge_base`; encoded by the retriever when absent."""
    parameters: Retrieval = field(default=Retrieval())
    """Overrides the knowledge bases'."""
    filter: FilterExpression | None = None
    explain: bool = False
    """Has the retriever say how each knowledge base was searched."""


@dataclass(frozen=True, slots=True)
class Found:
    """Passages, best first."""

    passages: Sequence[Passage]
    vectors: Vectors
    """The query's, by the model of the first knowledge base: nobody encodes it again."""
    degraded: tuple[str, ...] = ()
    """Legs that failed or came too late."""

    @property
    def reason(self) -> str:
        """Why the search is degraded; empty where it is not."""
        return f"LEGS_LEFT_OUT ({', '.join(self.degraded)})" if self.degraded else ""
