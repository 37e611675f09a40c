"""What is found out about a search before it is made: a filter that its question says, and whether ACORN would help."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sluice_api.filtering import Filter, leaves
from sluice_api.objects.knowledge_base import FieldType
from sluice_api.objects.retrieval import Acorn, SelfQuery
from sluice_retriever.domain import acorn, self_query
from sluice_retriever.domain.model import Reader
from sluice_retriever.domain.parameters import Parameters
from sluice_retriever.store.knowledge_bases import Home
from sluice_retriever.store.messages import Lookup

#: Values of a keyword field that questions are compared with.
_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Acceleration:
    """The ACORN choice."""

    on: bool
    reason: str
    selectivity: float | None = None
    """Share of the tenant's chunks that the filter is estimated to let pass, where it was."""


async def read_filter(
    home: Home, reader: Reader, question: str, given: Filter | None, parameters: Parameters, now: float
) -> self_query.SelfQuery:
    """The filter that a question says, beside the one that is given."""
    declared = home.spec.fields
    if parameters.self_query is SelfQuery.OFF or not declared:
        return self_query.SelfQuery()
    taken = {leaf.field for leaf in leaves(given)} if given is not None else set()
    values = {
        field.name: await home.store.values(reader, field.name, now, _VALUES)
        for field in declared
        if field.type is FieldType.KEYWORD and field.name not in taken
    }
    return self_query.extract(question, declared, values, datetime.fromtimestamp(now, UTC).date(), taken)


async def accelerate(home: Home, lookup: Lookup) -> Acceleration:
    """Whether ACORN would help; the filter's share is estimated only where it decides."""
    mode = lookup.parameters.acorn
    graph = home.engine.searches_graph(home.manifest)
    conditions = 0 if lookup.filter is None else len(leaves(lookup.filter))
    share = await home.store.share(lookup) if graph and mode is Acorn.AUTO and conditions else None
    on, reason = acorn.choose(mode, graph=graph, conditions=conditions, selectivity=share)
    return Acceleration(on, reason, share)
