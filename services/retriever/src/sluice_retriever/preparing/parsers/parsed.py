"""What a parser gives."""

from collections.abc import Iterable
from dataclasses import dataclass

from sluice_retriever.domain.markdown import Block


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's own title, empty where it has none, and its blocks in order."""

    title: str
    blocks: Iterable[Block]


class Unparsable(Exception):
    """A file cannot be read as what it is; the message says why, for the one who sent it."""
