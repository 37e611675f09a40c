"""Which replica gets a request: the one that is cheapest, in requests.

A replica costs what it has outstanding. Where a request names an adapter, a replica costs more that would have to load
it, and where the beginning of the prompt was read before, a replica costs more that would have to read it again. What
these are worth grows with the load (`worth`), so that affinity holds on a busy server and still never piles requests
up: a replica is given more than the others by a bounded part of their mean (consistent hashing with bounded loads,
Mirrokni et al. 2016, with a cost in place of a cap). Adapters that are in no slot go to the replicas that rendezvous
hashing gives them (Thaler and Ravishankar 1998), so that each lives on few, and on the same ones for every inference
process. Of those that are as good as the cheapest, two are drawn and the one with more room is taken (Mitzenmacher
2001): processes that have scraped the same numbers do not all run to the same replica.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sluice_inference.domain.routing import prefixes, rendezvous
from sluice_inference.domain.routing.model import Ask, Choice, NoChoice, ReplicaView, Rules, Standing, Why

#: Requests that affinity is worth on a server that has nothing to do.
_LEAST_WORTH = 6.0

#: Distances of an adapter, in parts of what affinity is worth: 0 in a slot, then in memory, then its homes in their
#: order, then the rest; more where all slots hold adapters that are being used, since it would have to wait for one.
_WARM = 0.25
_HOMES = (0.75, 0.875)
_ELSEWHERE = 1.0
_NO_SLOT = 1.0

#: What a whole prompt that was read before is worth, in the same parts: reading it again costs less than an adapter.
_PROMPT = 0.5

#: From this part of the KV cache on, a replica will soon have to throw out requests that it runs.
_KV_FULL = 0.9

#: Replicas whose costs differ by less, in requests, are equally good.
_NEAR = 0.5


@dataclass(frozen=True, slots=True)
class _Cost:
    view: ReplicaView
    distance: float
    """Of the adapter."""
    read: float
    """The part of the prompt that was read before."""
    total: float


def choose(views: Sequence[ReplicaView], ask: Ask, rules: Rules, chance: random.Random) -> Choice | NoChoice:
    """The replica for a request, or why there is none."""
    candidates, panics = _candidates(views, ask)
    if rules.max_in_flight is not None:
        most = rules.max_in_flight
        room = [view for view in candidates if view.in_flight < most]
        if candidates and not room:
            return NoChoice.FULL
        candidates = room
    if not candidates:
        return NoChoice.NONE
    if len(candidates) == 1:
        (view,) = candidates
        return Choice(view.name, _only(view, panics=panics), _is_hit(view, ask))
    costs = _costs(candidates, ask, rules)
    best = min(cost.total for cost in costs)
    near = [cost for cost in costs if cost.total - best < _NEAR]
    chosen = near[0] if len(near) == 1 else _with_more_room(*chance.sample(near, 2))
    why = Why.PANIC if panics else _why(chosen, costs, ask)
    return Choice(chosen.view.name, why, _is_hit(chosen.view, ask))


def _candidates(views: Sequence[ReplicaView], ask: Ask) -> tuple[Sequence[ReplicaView], bool]:
    """Those that may get it, and whether all of them are known to be ill."""
    there = [view for view in views if not view.is_draining and view.name not in ask.tried]
    if ask.adapter and any(_serves(view, ask) for view in views):
        there = [view for view in there if view.serves is None or ask.adapter in view.serves]
    well = [view for view in there if view.is_healthy and view.standing is not Standing.OPEN]
    ready = [view for view in well if not view.is_busy]
    if ready or ask.only_ready:
        return ready, False
    return (well, False) if well else (there, bool(there))


def _serves(view: ReplicaView, ask: Ask) -> bool:
    return view.serves is not None and ask.adapter in view.serves


def _costs(candidates: Sequence[ReplicaView], ask: Ask, rules: Rules) -> list[_Cost]:
    worth = 0.0
    if rules.imbalance:
        mean = sum(view.load for view in candidates) / len(candidates)
        worth = max(_LEAST_WORTH, rules.imbalance * mean)
    homes = rendezvous.ranks(ask.adapter, tuple(view.name for view in candidates)) if ask.adapter else {}
    costs = []
    for view in candidates:
        distance = _distance(view, ask, homes) if ask.adapter else 0.0
        read = prefixes.share(ask.blocks, view.prefixes) if ask.blocks else 0.0
        total = view.load + worth * (distance + _PROMPT * (1.0 - read))
        if view.kv_usage > _KV_FULL:
            total += max(_LEAST_WORTH, view.load)
        costs.append(_Cost(view, distance, read, total))
    return costs


def _distance(view: ReplicaView, ask: Ask, homes: dict[str, int]) -> float:
    if _is_hit(view, ask):
        return 0.0
    rank = homes[view.name]
    away = _HOMES[rank] if rank < len(_HOMES) else _ELSEWHERE
    if ask.adapter in view.warm:
        away = _WARM
    return away + _NO_SLOT if view.slots and len(view.active) >= view.slots else away


def _is_hit(view: ReplicaView, ask: Ask) -> bool:
    return bool(ask.adapter) and (ask.adapter in view.active or ask.adapter in view.resident)


def _with_more_room(one: _Cost, other: _Cost) -> _Cost:
    """The order of the two is chance's, and decides where they are equal."""
    return one if (one.view.kv_usage, one.total) <= (other.view.kv_usage, other.total) else other


def _only(view: ReplicaView, *, panics: bool) -> Why:
    if panics:
        return Why.PANIC
    return Why.PROBE if view.standing is Standing.PROBE else Why.ONLY


def _why(chosen: _Cost, costs: Sequence[_Cost], ask: Ask) -> Why:
    if chosen.view.standing is Standing.PROBE:
        return Why.PROBE
    if ask.adapter and chosen.distance < max(cost.distance for cost in costs):
        return Why.ADAPTER if _is_hit(chosen.view, ask) else Why.HOME
    if chosen.read > min(cost.read for cost in costs):
        return Why.PREFIX
    return Why.LOAD
