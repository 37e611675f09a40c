"""The extractive engine's choice: which sentences of the passages answer a question. Deterministic."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_inference.domain.cleaning import readable
from sluice_inference.domain.model import Passage
from sluice_lexical import datamarks
from sluice_lexical.words import coverage, rarity, terms

#: Weights of a sentence's evidence, chosen by hand on questions about this project's documents.
_SIMILARITY, _COVERAGE, _SECTION, _PRIOR, _DEFINES = 0.45, 0.35, 0.10, 0.10, 0.15

#: Below this mean of similarity and coverage no sentence is evidence enough.
_ENOUGH = 0.30

#: A further sentence must be this good, relative to the best.
_RELATIVE = 0.62

#: Share of common terms from which two sentences say the same.
_SAME = 0.6

_DEFINITION = re.compile(
    r"^\s*(?:what|who)\s+(?:is|are|does)\s+(?:an?\s+|the\s+)?(?P<thing>[^?]{1,80}?)(?:\s+mean|\s+do)?\s*\?*\s*$",
    re.I,
)
_FALLBACK = re.compile(r"[^.!?\n]+[.!?]?")


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence to quote."""

    text: str
    number: int
    """Of its passage, from 1."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    text: str
    passage: int
    position: int
    terms: frozenset[str]
    evidence: float
    score: float


def choose(question: str, passages: Sequence[Passage], max_sentences: int) -> list[Quote]:
    """The sentences to quote, those of the best passage first, in reading order; none where too little speaks
    for an answer."""
    candidates = _candidates(question, passages)
    if not candidates or max(candidate.evidence for candidate in candidates) < _ENOUGH:
        return []
    chosen = _diverse(sorted(candidates, key=lambda c: (-c.score, c.passage, c.position)), max_sentences)
    order: dict[int, int] = {}
    for candidate in chosen:  # the best sentence's passage first
        order.setdefault(candidate.passage, len(order))
    chosen.sort(key=lambda candidate: (order[candidate.passage], candidate.position))
    return [Quote(candidate.text, candidate.passage + 1) for candidate in chosen]


def _candidates(question: str, passages: Sequence[Passage]) -> list[_Candidate]:
    sentences = [
        (index, position, text, similarity, frozenset(terms(text)))
        for index, passage in enumerate(passages)
        for position, (text, similarity) in enumerate(_sentences(passage))
    ]
    wanted = rarity(terms(question), [held for *_, held in sentences])
    titles = [frozenset(terms(passage.title)) for passage in passages]
    thing = _thing_asked_for(question)
    found = []
    for index, position, text, similarity, held in sentences:
        covered = coverage(wanted, held)
        in_section = coverage(wanted, held | titles[index])
        near = max(0.0, similarity)
        score = _SIMILARITY * near + _COVERAGE * covered + _SECTION * in_section + _PRIOR / (1 + index)
        if thing and _defines(text, thing):
            score += _DEFINES
        found.append(_Candidate(text, index, position, held, (near + in_section) / 2, score))
    return found


def _sentences(passage: Passage) -> Iterator[tuple[str, float]]:
    spans = [(sentence.start, sentence.end, sentence.similarity) for sentence in passage.sentences]
    if not spans:
        spans = [(match.start(), match.end(), 0.0) for match in _FALLBACK.finditer(passage.text)]
    for start, end, similarity in spans:
        if datamarks.is_marked(passage.text[start:end]):  # suspicious: nothing to quote
            continue
        text = readable(passage.text[start:end])
        if len(terms(text)) >= 2 and not text.endswith(":"):  # less is a heading or leads to what follows
            yield text, similarity


def _thing_asked_for(question: str) -> str:
    match = _DEFINITION.match(question)
    return " ".join(terms(match["thing"])) if match else ""


def _defines(sentence: str, thing: str) -> bool:
    return " ".join(terms(sentence)).startswith(thing)


def _diverse(ranked: Sequence[_Candidate], most: int) -> list[_Candidate]:
    chosen: list[_Candidate] = []
    for candidate in ranked:
        if len(chosen) == most or (chosen and candidate.score < _RELATIVE * chosen[0].score):
            break
        if not any(_alike(candidate.terms, other.terms) for other in chosen):
            chosen.append(candidate)
    return chosen


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    smaller = min(len(one), len(other))
    return smaller > 0 and len(one & other) / smaller > _SAME
