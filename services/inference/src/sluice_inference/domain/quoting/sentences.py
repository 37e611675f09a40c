"""The passages' sentences that may be quoted, each as it would be quoted."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sluice_inference.domain.cleaning import cells, readable
from sluice_inference.domain.model import Passage
from sluice_lexical import datamarks
from sluice_lexical.words import pieces

#: Sentences of a passage that has none marked: up to a sign that ends one before white space, or a line's end.
_FALLBACK = re.compile(r"[^\n。！？]*?(?:[.!?]{1,3}[\"'”’)\]]{0,3}(?=\s|$)|[。！？]+[」』”]?|(?=\n)|$)")

_ITEM = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s")
_ROW = re.compile(r"\s*\|")
_RULE = re.compile(r"[\s:|-]+$")

#: What begins so says nothing without the sentence before it.
_LEANS = re.compile(
    r"(?:It|They|He|She|This|That|These|Those|Its|Their|His|Her|Such|Both|Er|Sie|Es|Dies(?:e[rs]?)?|Il|Elle|Ils|Elles|Cela"
    r"|Ce(?:tte|ci|s)?|Esto|Est[ae]s?|Quest[oaei]|Iss[oa]|Dit|Dat|Deze|Zij)\b(?![’'-])"
)

#: A passage's sentences that are looked at; a chunk has fewer, text from elsewhere may have any number.
_MOST_SENTENCES = 64


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that may be quoted."""

    passage: int
    """From 0."""
    position: int
    """In its passage, from 0."""
    start: int
    end: int
    """Half-open range of code points in the passage."""
    text: str
    """Without Markdown's signs; a list's item behind what leads to it."""
    similarity: float | None
    """Cosine to the question; None where the passage's sentences have no vectors."""
    words: tuple[str, ...]
    terms: frozenset[str]
    leans: bool
    """It begins with a word that stands for something before it."""


def read(passages: Sequence[Passage]) -> list[list[Sentence]]:
    """Each passage's sentences in order, without headings, lines that lead to others, and what is marked as data."""
    return [list(_sentences(index, passage)) for index, passage in enumerate(passages)]


def _sentences(index: int, passage: Passage) -> Iterator[Sentence]:
    spans: list[tuple[int, int, float | None]] = [
        (each.start, each.end, each.similarity) for each in passage.sentences[:_MOST_SENTENCES]
    ]
    if not spans:
        found = (match.span() for match in _FALLBACK.finditer(passage.text) if match[0].strip())
        spans = [(start, end, None) for start, end in islice(found, _MOST_SENTENCES)]
    lead, columns = "", list[str]()
    rows = [passage.text[start:end] for start, end, _ in spans]
    for position, (raw, (start, end, similarity)) in enumerate(zip(rows, spans, strict=True)):
        if datamarks.is_marked(raw):
            lead, columns = "", []
            continue
        following = rows[position + 1] if position + 1 < len(rows) else ""
        if _ROW.match(raw):
            if _RULE.match(following) and "--" in following:
                columns = cells(raw)
                continue
            text = readable(raw, columns)
        else:
            columns = []
            text = readable(raw)
            if text.endswith((":", "：")):
                lead = text
                continue
            if _ITEM.match(raw):
                text = f"{lead} {text}" if lead else text
            elif "\n" in passage.text[max(0, start - 2) : start]:
                lead = ""
        words = tuple(pieces(text))
        if len(words) > 1:  # fewer are a heading
            yield Sentence(
                index,
                position,
                start,
                end,
                text,
                similarity,
                words,
                frozenset(words),
                bool(_LEANS.match(text)),
            )
