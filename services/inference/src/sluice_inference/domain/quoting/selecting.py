"""Which of the weighed sentences are quoted: those that let the answer be as good as can be expected, nothing twice."""

from collections.abc import Callable, Sequence

from sluice_inference.domain.quoting.sentences import Sentence
from sluice_inference.domain.quoting.weighing import Weighed

#: Share of the shorter sentence's terms from which two sentences say the same.
_SAME = 0.75

#: How much more recall counts than precision, the square of β (van Rijsbergen 1979): a sentence too many is passed
#: over, one that is missing is missed.
_RECALL = 2.0

#: Share of a part's words, by rarity, that a sentence has to hold to answer it; and of what the best one holds.
_ANSWERS, _AS_GOOD = 0.5, 0.8


def select(
    weighed: Sequence[Weighed], parts: Sequence[Callable[[Weighed], float]], most: int
) -> list[Sentence]:
    """The sentences to quote: the best passage's first, each passage's in reading order.

    Args:
        weighed: All sentences, each passage's in order.
        parts: Of each question in the question, how much of it a sentence holds, 0 to 1.
        most: How many to quote.
    """
    ranked = sorted(weighed, key=lambda each: (-each.chance, each.sentence.passage, each.sentence.position))
    # Chunks overlap: what stands in two counts once.
    different = {each.sentence.terms: each.chance * each.length for each in reversed(ranked)}
    chosen = _expected_best(_distinct(ranked, most), sum(different.values()))
    chosen = _with_parts(chosen, ranked, parts, most)
    return _ordered(_with_what_they_lean_on(chosen, weighed, most))


def _expected_best(ranked: Sequence[Weighed], total: float) -> list[Weighed]:
    """As many of the best as make the F-measure by words highest, if each belonged to the answer with its chance: a
    further one adds what it answers, and dilutes what is there."""
    right = words = best = 0.0
    for index, each in enumerate(ranked):
        right += each.chance * each.length
        words += each.length
        measure = (1 + _RECALL) * right / (words + _RECALL * total)
        if measure < best:
            return list(ranked[:index])
        best = measure
    return list(ranked)


def _with_parts(
    chosen: list[Weighed], ranked: Sequence[Weighed], parts: Sequence[Callable[[Weighed], float]], most: int
) -> list[Weighed]:
    """Each part with the sentence that holds most of it, in place of the least likely where there is no more room."""
    needed: list[Weighed] = []
    for part in parts:
        best = max(ranked, key=lambda each: (part(each), each.chance))
        if part(best) < _ANSWERS:
            continue
        answering = [each for each in (*needed, *chosen) if part(each) >= _AS_GOOD * part(best)]
        needed.append(answering[0] if answering else best)
    kept = [each for each in chosen if not any(each is other for other in needed)]
    distinct = list({id(each): each for each in needed}.values())[:most]
    return distinct + kept[: most - len(distinct)]


def _with_what_they_lean_on(chosen: list[Weighed], weighed: Sequence[Weighed], most: int) -> list[Weighed]:
    """Where there is room, "It …" with the sentence before."""
    found = list(chosen)
    places = {(each.sentence.passage, each.sentence.position): each for each in weighed}
    for each in chosen:
        before = places.get((each.sentence.passage, each.sentence.position - 1))
        if not each.sentence.leans or before is None or len(found) == most:
            continue
        if not any(alike(before.sentence, other.sentence) for other in found):
            found.append(before)
    return found


def _ordered(chosen: Sequence[Weighed]) -> list[Sentence]:
    best: dict[int, float] = {}
    for each in chosen:
        best[each.sentence.passage] = max(best.get(each.sentence.passage, 0.0), each.chance)
    by_passage = sorted(
        chosen, key=lambda each: (-best[each.sentence.passage], each.sentence.passage, each.sentence.position)
    )
    return [each.sentence for each in by_passage]


def _distinct(ranked: Sequence[Weighed], most: int) -> list[Weighed]:
    """The first ones, without what one further up already says."""
    found: list[Weighed] = []
    for each in ranked:
        if len(found) == most:
            break
        if not any(alike(each.sentence, other.sentence) for other in found):
            found.append(each)
    return found


def alike(one: Sentence, other: Sentence) -> bool:
    """Whether two sentences say the same: nearly all words of the shorter, and every number of it."""
    shared = one.terms & other.terms
    shorter = min(one.terms, other.terms, key=len)
    if len(shared) < _SAME * len(shorter):
        return False
    return not any(sign.isdigit() for term in shorter - shared for sign in term)
