"""How far the evidence carries one claim: a few figures, each with a plain meaning."""

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from sluice_guardrail.domain.grounding.evidence import Evidence, Sentence
from sluice_guardrail.domain.grounding.opposites import antonyms, is_negated_otherwise
from sluice_guardrail.domain.words import Words

#: What a word of the claim counts that the question has too: an answer may repeat what no passage says.
_ASKED = 0.5
#: Words on either side of a number or name that say what it is about.
_AROUND = 4
#: Share of a claim's words in a sentence from which a negation or an antonym there is about the same thing.
_SAME_SUBJECT = 0.5


@dataclass(frozen=True, slots=True)
class Signals:
    """What a claim has in common with its passages. All figures are 0 to 1."""

    sentences: float
    """Weighted share of the claim's words in the two sentences that have most of them, and in their titles."""
    passage: float
    """The same for the best passage."""
    literal: float
    """The same for the two sentences, of the words that are neither numbers nor names; an antonym is not missed."""
    pairs: float
    """Share of the claim's neighbouring words that are neighbours in a passage."""
    stray: float
    """How much more of what stands around a number or name another sentence says than those that hold it: the worst
    of them."""
    negation: float
    """1 where the best sentence says the same words under a negation, or the claim does."""
    antonym: float
    """1 where the best sentence has an opposite of a word of the claim in its place."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A claim's signals, and the sentences they are about."""

    signals: Signals
    best: tuple[Sentence, ...]
    """At most two, the best first."""
    stray_number: bool
    """What is most astray is a number."""


def weigh(claim: Words, asked: Set[str], evidence: Evidence, passages: Sequence[int]) -> Weighed:
    """A claim against some of the passages.

    Args:
        asked: What the question says; it needs no passage, unless nothing else is claimed.
        passages: Indices of the passages it may rest on.
    """
    wanted = frozenset(claim.terms)
    weights = {term: evidence.weight(term) * (_ASKED if term in asked else 1.0) for term in wanted}
    total = sum(weights.values()) or 1.0
    allowed = frozenset(passages)
    found = _best(weights, evidence, allowed)
    best = tuple(evidence.sentences[index] for index in found)
    covered = frozenset[str]().union(*(each.terms | evidence.titles[each.passage] for each in best))
    passage = max((_sum(weights, wanted & evidence.by_passage[index]) for index in allowed), default=0.0)
    anchors = [place for place in claim.anchors if evidence.tells_names or claim.terms[place][0].isdigit()]
    plain = wanted - {claim.terms[place] for place in anchors}
    plain_share = _sum(weights, plain & covered) / (_sum(weights, plain) or 1.0)
    share = _sum(weights, wanted & covered) / total
    same = share >= _SAME_SUBJECT
    said = [each.words.plain for each in best]
    negated = same and is_negated_otherwise(claim.plain, said)
    antonym = same and any(antonyms(claim.plain, [word for words in said for word in words]))
    stray, stray_number = _stray(claim, anchors, evidence, allowed)
    signals = Signals(
        sentences=share,
        passage=passage / total,
        literal=min(1.0, plain_share + (antonym / len(plain) if plain else 0.0)),
        pairs=_pairs(claim, evidence, allowed),
        stray=stray,
        negation=float(negated),
        antonym=float(antonym),
    )
    return Weighed(signals, best, stray_number)


def _sum(weights: dict[str, float], terms: Set[str]) -> float:
    return sum(weights[term] for term in terms)


def _best(weights: dict[str, float], evidence: Evidence, allowed: Set[int]) -> list[int]:
    """The sentence that has most of the claim, and the one that has most of the rest."""
    scores: dict[int, float] = defaultdict(float)
    for term, weight in weights.items():
        for index in evidence.holding(term):
            if evidence.sentences[index].passage in allowed:
                scores[index] += weight
    if not scores:
        return []
    first = max(scores, key=lambda index: (scores[index], -index))
    rest = [term for term in weights if term not in evidence.sentences[first].terms]
    others: dict[int, float] = defaultdict(float)
    for term in rest:
        for index in evidence.holding(term):
            if evidence.sentences[index].passage in allowed:
                others[index] += weights[term]
    if not others:
        return [first]
    return [first, max(others, key=lambda index: (others[index], -index))]


def _pairs(claim: Words, evidence: Evidence, allowed: Set[int]) -> float:
    pairs = frozenset(pairwise(claim.terms))
    return sum(evidence.has_pair(pair, allowed) for pair in pairs) / len(pairs) if pairs else 1.0


def _stray(claim: Words, anchors: Sequence[int], evidence: Evidence, allowed: Set[int]) -> tuple[float, bool]:
    worst, is_number = 0.0, False
    quantities = {quantity.value: quantity for quantity in claim.quantities}
    for place in anchors:
        anchor = claim.terms[place]
        around = {*claim.terms[max(0, place - _AROUND) : place + _AROUND + 1]} - {anchor}
        shared: Counter[int] = Counter()
        for term in around:
            holding = evidence.holding(term)
            shared.update(index for index in holding if evidence.sentences[index].passage in allowed)
        there = [*evidence.holding(anchor)]
        if anchor in quantities:
            there += evidence.holding_value(quantities[anchor])
        with_it = max((shared[index] for index in there), default=0)
        missing = (max(shared.values(), default=0) - with_it) / max(1, len(around))
        if missing > worst:
            worst, is_number = missing, anchor[0].isdigit()
    return worst, is_number
