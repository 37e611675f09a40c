"""Citations of an answer, and the list of sources that follows it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice_gateway.domain.model import Passage
from sluice_lexical import datamarks
from sluice_lexical.marks import MARK, numbers


@dataclass(frozen=True, slots=True)
class Citation:
    """A source that the text cites."""

    number: int
    document_id: str
    chunk_id: str
    knowledge_base: str
    title: str
    text: str
    """As the model has read it, without the signs of datamarking."""
    score: float
    metadata_json: str
    marks: tuple[tuple[int, int], ...]
    """Where the text cites it, as half-open ranges of code points."""


def citations(text: str, passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """The passages that the text's marks name, by number. Numbers that name none are left out."""
    marks: dict[int, list[tuple[int, int]]] = {}
    for mark in MARK.finditer(text):
        for number in numbers(mark):
            marks.setdefault(number, []).append(mark.span())
    return tuple(
        _citation(number, passages[number - 1], tuple(spans))
        for number, spans in sorted(marks.items())
        if 1 <= number <= len(passages)
    )


def sources(cited: Sequence[Citation]) -> str:
    """The list of sources that is appended to an answer; empty where nothing is cited."""
    if not cited:
        return ""
    lines = [f"[{citation.number}] {_name(citation)}" for citation in cited]
    return "\n\nSources:\n" + "\n".join(lines)


def _name(citation: Citation) -> str:
    if not citation.title or citation.title == citation.document_id:
        return citation.document_id
    return f"{citation.title} ({citation.document_id})"


def _citation(number: int, passage: Passage, marks: tuple[tuple[int, int], ...]) -> Citation:
    return Citation(
        number=number,
        document_id=passage.document_id,
        chunk_id=passage.chunk_id,
        knowledge_base=passage.knowledge_base,
        title=passage.title,
        text=datamarks.unmarked(passage.text),
        score=passage.score,
        metadata_json=passage.metadata_json,
        marks=marks,
    )
