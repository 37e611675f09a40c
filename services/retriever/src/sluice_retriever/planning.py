"""What is to be done with each document of a group: nothing, a refusal, or chunks to store."""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluice_api.objects.knowledge_base import MetadataField
from sluice_retriever.domain import documents, fields
from sluice_retriever.domain.chunking import Budget
from sluice_retriever.domain.model import Chunk, Document, Ingested, Outcome
from sluice_retriever.preparing.parsers import registry
from sluice_retriever.preparing.preparer import Preparer
from sluice_retriever.store.messages import Stored


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a document."""

    document: Document
    outcome: Ingested
    """Once all is done."""
    title: str = ""
    """The document's, whoever gave it."""
    write_id: str = ""
    digest: str = ""
    chunks: tuple[Chunk, ...] = ()
    touched: bool = False
    """It is unchanged but for when its time is over."""


class Planner:
    """Has those documents prepared that are new or changed.

    Args:
        preparer: Parses and cuts.
    """

    def __init__(self, preparer: Preparer) -> None:
        self._preparer = preparer

    async def plan(
        self,
        group: Sequence[Document],
        stored: Mapping[str, Stored],
        budget: Budget,
        model_digest: str,
        declared: Sequence[MetadataField] = (),
    ) -> list[Plan]:
        """One plan for each document, in order. Within one group a later copy of an id counts as the newer one.

        Args:
            group: The documents.
            stored: What is stored of them.
            budget: How they are cut.
            model_digest: Of the model that encodes: what another one encoded is not the same content.
            declared: Metadata fields whose values must be of their types.
        """
        cutting = f"{budget}/{registry.VERSION}"
        judged = await asyncio.to_thread(
            lambda: [_judge(document, cutting, model_digest, declared) for document in group]
        )
        begun: dict[str, tuple[tuple[str, float | None], asyncio.Task[Plan]]] = {}
        planning: list[asyncio.Task[Plan]] = []
        for document, (refusal, digest) in zip(group, judged, strict=True):
            before, earlier = begun.get(document.id, (None, None))
            known = stored.get(document.id)
            if refusal:
                planned = _refused(document, refusal)
            elif earlier is not None and before == (digest, document.expires):
                planned = _again(document, earlier)
            elif earlier is None and known is not None and known.digest == digest:
                planned = _unchanged(document, known.chunks, touched=document.expires != known.expires)
            else:
                planned = self._prepared(document, digest, budget)
            planning.append(asyncio.create_task(planned))
            if not refusal:
                begun[document.id] = (digest, document.expires), planning[-1]
        try:
            return await asyncio.gather(*planning)
        finally:
            for task in planning:
                task.cancel()

    async def _prepared(self, document: Document, digest: str, budget: Budget) -> Plan:
        prepared = await self._preparer.prepare(document, budget)
        if prepared.refusal:
            return await _refused(document, prepared.refusal)
        outcome = Ingested(document.id, Outcome.STORED, chunks=len(prepared.chunks))
        return Plan(document, outcome, prepared.title, uuid.uuid4().hex, digest, prepared.chunks)


def _judge(
    document: Document, cutting: str, model_digest: str, declared: Sequence[MetadataField]
) -> tuple[str, str]:
    """Why it cannot be stored, or the digest of its content."""
    refusal = documents.refusal(document)
    if not refusal and declared:
        refusal = fields.refusal(json.loads(document.metadata_json), declared)
    return refusal, "" if refusal else documents.digest(document, cutting, model_digest)


async def _refused(document: Document, reason: str) -> Plan:
    return Plan(document, Ingested(document.id, Outcome.REFUSED, reason))


async def _unchanged(document: Document, chunks: int, *, touched: bool = False) -> Plan:
    return Plan(document, Ingested(document.id, Outcome.UNCHANGED, chunks=chunks), touched=touched)


async def _again(document: Document, earlier: asyncio.Task[Plan]) -> Plan:
    outcome = (await earlier).outcome
    if outcome.outcome is Outcome.REFUSED:
        return await _refused(document, outcome.reason)
    return await _unchanged(document, outcome.chunks)
