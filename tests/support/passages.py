"""A retrieved passage, as the gateway sees one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Leg:
    """What `sluice_gateway.domain.model.Leg` asks for."""

    leg: str


@dataclass(frozen=True)
class Passage:
    """What `sluice_gateway.domain.model.Passage` asks for."""

    document_id: str
    title: str = ""
    chunk_id: str = "c"
    knowledge_base: str = "default"
    text: str = "It is forty."
    score: float = 1.0
    metadata_json: str = "{}"
    legs: tuple[Leg, ...] = ()
