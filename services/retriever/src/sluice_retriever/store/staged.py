"""The staged query: dense and sparse legs, then token MaxSim over the union of all candidates, then fusion."""

from qdrant_client import models

from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.fusion import Ranking, fuse
from sluice_retriever.domain.model import Leg
from sluice_retriever.store import coding, filters
from sluice_retriever.store.backend import Backend
from sluice_retriever.store.bm25 import SparseEncoder
from sluice_retriever.store.finishing import choose, chooses, join
from sluice_retriever.store.messages import Found, Lookup
from sluice_retriever.store.schema import TOKEN_VECTORS, Vector

#: What each leg says of its candidates.
Legs = dict[Leg, Ranking]


class StagedQuery:
    """The staged query on one store.

    Args:
        backend: The store.
        sparse: Encodes the question's words.
    """

    def __init__(self, backend: Backend, sparse: SparseEncoder) -> None:
        self._backend = backend
        self._sparse = sparse

    async def legs(self, lookup: Lookup, readable: models.Filter) -> Legs:
        """The first stage: the dense and the sparse leg, in one call."""
        dense, sparse = await self._backend.query(
            lookup.reader.tenant, [_dense(lookup, readable), self._by_words(lookup, readable)]
        )
        return {Leg.DENSE: dense, Leg.SPARSE: sparse}

    async def finish(self, lookup: Lookup, readable: models.Filter, legs: Legs) -> Found:
        """The second stage: tokens over all candidates, fusion, a choice, and what is joined to the chosen.

        A candidate that another source has named counts only where the filter lets it pass.
        """
        legs = await self._readable_only(lookup, readable, legs)
        candidates = {point for ranking in legs.values() for point, _ in ranking}
        if candidates and _wants_tokens(lookup):
            legs[Leg.TOKENS] = await self._token_leg(lookup, candidates)
        parameters = lookup.parameters
        most = len(candidates) if chooses(lookup) else lookup.top_k
        fused = fuse(legs, parameters.weights, parameters.k, most)
        chosen = await choose(self._backend, lookup, fused)
        passages = await join(self._backend, lookup, chosen)
        return Found(passages, {leg: len(ranking) for leg, ranking in legs.items()}, len(chosen))

    async def _readable_only(self, lookup: Lookup, readable: models.Filter, legs: Legs) -> Legs:
        """The rankings without what another source named and this reader may not see, or what is over; each
        as long as a leg may be."""
        ours = {point for leg in (Leg.DENSE, Leg.SPARSE) for point, _ in legs.get(leg, ())}
        others = {point for ranking in legs.values() for point, _ in ranking} - ours
        seen = ours
        if others:
            wanted = models.Filter(must=[readable, filters.among(others)])
            records, _ = await self._backend.scroll(lookup.reader.tenant, wanted, len(others), payload=False)
            seen = ours | {str(record.id) for record in records}
        limit = lookup.parameters.leg_limit
        return {leg: [hit for hit in ranking if hit[0] in seen][:limit] for leg, ranking in legs.items()}

    def _by_words(self, lookup: Lookup, readable: models.Filter) -> models.QueryRequest:
        # IDF within the tenant: one tenant's documents must not shift another's ranking.
        corpus = models.IdfCorpusParams(corpus=filters.of_tenant(lookup.reader.tenant))
        return models.QueryRequest(
            query=self._sparse.question(lookup.query),
            using=Vector.SPARSE,
            filter=readable,
            params=models.SearchParams(idf=corpus),
            limit=lookup.parameters.leg_limit,
        )

    async def _token_leg(self, lookup: Lookup, candidates: set[str]) -> Ranking:
        match = lookup.parameters.token_match
        rows = coding.encode_question(lookup.vectors, match)
        request = models.QueryRequest(
            query=rows.astype(float).tolist(),
            using=TOKEN_VECTORS[match],
            # They have passed the reader's filter; to ask it again costs as much as the scoring.
            filter=models.Filter(must=[filters.among(candidates)]),
            params=models.SearchParams(exact=True),
            limit=len(candidates),
        )
        [found] = await self._backend.query(lookup.reader.tenant, [request])
        return [(point, coding.token_score(distance, len(rows), match)) for point, distance in found]


def _wants_tokens(lookup: Lookup) -> bool:
    return lookup.parameters.token_match is not TokenMatch.OFF and len(lookup.vectors.tokens) > 0


def _dense(lookup: Lookup, readable: models.Filter) -> models.QueryRequest:
    quantization = models.QuantizationSearchParams(rescore=True, oversampling=lookup.parameters.oversampling)
    acorn = models.AcornSearchParams(enable=True) if lookup.acorn else None
    return models.QueryRequest(
        query=lookup.vectors.dense.tolist(),
        using=Vector.DENSE,
        filter=readable,
        params=models.SearchParams(quantization=quantization, acorn=acorn),
        limit=lookup.parameters.leg_limit,
    )
