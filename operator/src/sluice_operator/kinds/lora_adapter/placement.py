"""Which pods have a version of an adapter. Pure, deterministic, and independent of the pods' order.

What is placed stays where it is while its pod lives, so that nothing moves without need.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluice_api.objects.lora_adapter import Placement, Strategy
from sluice_operator.kinds.lora_adapter.retries import fraction


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod, as one version of one adapter sees it."""

    uid: str
    name: str
    node: str = ""
    usable: bool = True
    """Ready, and its agent answers."""
    free: int = 1
    """Slots."""
    taken: int = 0
    """Slots, by all adapters."""
    held: bool = False
    """The version has been placed there; it has its slot."""
    lingering: bool = False
    """The version is on its way out there, and still has its slot."""
    loaded: bool = False
    """It is loaded there."""
    barred: bool = False
    """It cannot be loaded there, and no further try is due."""
    preferred: bool = False
    """Another version of the adapter is there."""
    here: bool = False
    """The files lie there."""
    scouted: bool = False
    """It has found out for this adapter which files there are, and has a slot kept for it since."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a version goes."""

    uids: frozenset[str]
    desired: int
    """Pods that there should be."""
    full: frozenset[str]
    """Pods that would have been taken if they had a free slot; only where there are too few."""


def choose(placement: Placement, candidates: Sequence[Candidate], adapter: str) -> Choice:
    """Chooses among pods that live.

    Args:
        adapter: Its uid: of pods that are as good, different adapters take different ones.
    """
    desired = wanted(placement, len(candidates))
    held = [each for each in candidates if each.held and not each.barred]
    chosen = _best(placement.strategy, held, desired, adapter)
    others = [each for each in candidates if not each.held and not each.barred]
    roomy = [each for each in others if each.free > 0 or each.lingering]
    chosen += _best(placement.strategy, roomy, desired - len(chosen), adapter, chosen)
    barred = [each for each in candidates if each.held and each.barred]
    chosen += _best(placement.strategy, barred, desired - len(chosen), adapter, chosen)
    uids = frozenset(each.uid for each in chosen)
    short = len(chosen) < desired
    full = frozenset(each.uid for each in others if each.uid not in uids) if short else frozenset()
    return Choice(uids, desired, full)


def wanted(placement: Placement, pods: int) -> int:
    """How many pods are to have an adapter, of so many that there are."""
    if placement.strategy is Strategy.ALL:
        return pods
    return placement.replicas or placement.min_available


def _best(
    strategy: Strategy, pool: Iterable[Candidate], count: int, adapter: str, beside: Iterable[Candidate] = ()
) -> list[Candidate]:
    """The best of a pool, at most `count`; what is chosen already stands `beside`."""
    # Of pods that are as good, those that need not fetch the files.
    left = sorted(pool, key=lambda each: (not each.here, fraction(adapter, each.uid), each.uid))
    if count >= len(left):
        return left
    nodes = Counter(each.node for each in beside)
    if strategy is not Strategy.SPREAD:
        return sorted(left, key=lambda each: (_merit(each), _rank(strategy, each, nodes)))[: max(count, 0)]
    best: list[Candidate] = []
    while len(best) < count:
        found = min(left, key=lambda each: (_merit(each), _rank(strategy, each, nodes)))
        left.remove(found)
        best.append(found)
        nodes[found.node] += 1
    return best


def _merit(each: Candidate) -> tuple[bool, ...]:
    """Before any strategy: what is there already, and what works."""
    return (not each.loaded, not each.lingering, not each.preferred, not each.usable)


def _rank(strategy: Strategy, each: Candidate, nodes: Counter[str]) -> tuple[object, ...]:
    if strategy is Strategy.SPREAD:
        return (not each.scouted, nodes[each.node], each.taken)
    if strategy is Strategy.BIN_PACK:
        return (-each.taken,)
    if strategy is Strategy.ORDERED:
        return tuple(_natural(each.name))
    return ()


def _natural(name: str) -> list[tuple[int, int, str]]:
    """`vllm-10` comes after `vllm-9`."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
