"""Where adapters go: the four strategies, slots, and that nothing moves without need."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.objects.lora_adapter import Placement, Strategy
from sluice_api.statuses.lora_adapter import LoRAAdapterStatus, PodState, PodStatus
from sluice_operator.agents.protocol import Load
from sluice_operator.agents.views import Trouble
from sluice_operator.kinds.lora_adapter.placement import Candidate, choose, wanted
from sluice_operator.kinds.lora_adapter.slots import taken
from support.adapter_world import World


def _placement(strategy: Strategy, replicas: int = 1) -> Placement:
    return Placement(strategy=strategy, replicas=None if strategy is Strategy.ALL else replicas)


def _uids(placement: Placement, *candidates: Candidate) -> list[str]:
    return sorted(choose(placement, candidates, "adapter").uids)


@st.composite
def pools(draw: st.DrawFn) -> list[Candidate]:
    """Pods, in any state that they can be in."""
    pool = []
    for number in range(draw(st.integers(0, 12))):
        held, lingering = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
        pool.append(
            Candidate(
                uid=f"p{number}",
                name=f"vllm-{number}",
                node=draw(st.sampled_from(["a", "b", "c"])),
                usable=draw(st.booleans()),
                free=draw(st.integers(-1, 3)),
                taken=draw(st.integers(0, 5)),
                held=held,
                lingering=lingering,
                loaded=held and draw(st.booleans()),
                barred=held and draw(st.booleans()),
                preferred=draw(st.booleans()),
            )
        )
    return pool


placements = st.builds(_placement, st.sampled_from(Strategy), st.integers(1, 15))


@given(pools(), placements, st.randoms(use_true_random=False))
def test_the_order_of_the_pods_is_of_no_meaning(
    pool: list[Candidate], placement: Placement, chance: random.Random
) -> None:
    shuffled = pool[:]
    chance.shuffle(shuffled)
    assert choose(placement, pool, "a") == choose(placement, shuffled, "a")


@given(pools(), placements)
def test_never_more_than_wanted_and_never_without_a_slot(pool: list[Candidate], placement: Placement) -> None:
    choice = choose(placement, pool, "a")
    by_uid = {each.uid: each for each in pool}
    assert len(choice.uids) <= choice.desired == wanted(placement, len(pool))
    for each in (by_uid[uid] for uid in choice.uids):
        assert each.held or each.lingering or each.free > 0
    assert not choice.full & choice.uids
    if len(choice.uids) < choice.desired:
        assert all(
            each.uid in choice.uids for each in pool if each.held or each.lingering or each.free > 0
        ), "too few, though there is room"


@given(pools(), placements)
def test_what_is_placed_stays(pool: list[Candidate], placement: Placement) -> None:
    choice = choose(placement, pool, "a")
    held = {each.uid for each in pool if each.held and not each.barred}
    assert held <= choice.uids or (choice.uids <= held and len(choice.uids) == choice.desired)


@given(pools(), placements)
def test_choosing_again_from_what_was_chosen_changes_nothing(
    pool: list[Candidate], placement: Placement
) -> None:
    first = choose(placement, pool, "a")
    then = [
        replace(each, held=each.uid in first.uids, lingering=False, free=each.free - (each.uid in first.uids))
        for each in pool
    ]
    assert choose(placement, then, "a").uids == first.uids


def test_all_takes_every_pod() -> None:
    pool = [Candidate(f"p{number}", f"vllm-{number}", usable=number > 1) for number in range(5)]
    assert len(_uids(_placement(Strategy.ALL), *pool)) == 5


def test_spread_takes_other_nodes_first_then_what_has_fewest_adapters() -> None:
    pool = [
        Candidate("a1", "a1", "a", taken=0),
        Candidate("a2", "a2", "a", taken=1),
        Candidate("b1", "b1", "b", taken=7, free=1),
        Candidate("b2", "b2", "b", taken=8, free=1),
    ]
    assert _uids(_placement(Strategy.SPREAD, 2), *pool) == ["a1", "b1"]
    assert _uids(_placement(Strategy.SPREAD, 3), *pool) == ["a1", "a2", "b1"]


def test_bin_pack_takes_the_fullest_that_has_room() -> None:
    pool = [
        Candidate("empty", "empty", taken=0, free=4),
        Candidate("half", "half", taken=2, free=2),
        Candidate("full", "full", taken=4, free=0),
    ]
    assert _uids(_placement(Strategy.BIN_PACK), *pool) == ["half"]


def test_ordered_goes_by_number() -> None:
    pool = [Candidate(f"p{number}", f"vllm-{number}") for number in (10, 9, 11, 2)]
    assert _uids(_placement(Strategy.ORDERED, 2), *pool) == ["p2", "p9"]


@pytest.mark.parametrize("strategy", Strategy)
def test_pods_that_work_come_first(strategy: Strategy) -> None:
    pool = [Candidate("p1", "vllm-1", usable=False), Candidate("p2", "vllm-2")]
    assert "p2" in _uids(_placement(strategy), *pool)


def test_a_pod_that_cannot_load_it_is_left_only_for_another_that_may() -> None:
    barred = Candidate("p1", "vllm-1", held=True, barred=True)
    assert _uids(_placement(Strategy.SPREAD), barred) == ["p1"]
    assert _uids(_placement(Strategy.SPREAD), barred, Candidate("p2", "vllm-2", free=0)) == ["p1"]
    assert _uids(_placement(Strategy.SPREAD), barred, Candidate("p2", "vllm-2")) == ["p2"]


def test_a_thousand_adapters_that_are_placed_blindly_spread_all_the_same() -> None:
    pool = [Candidate(f"p{number}", f"vllm-{number}", free=40) for number in range(50)]
    placement = _placement(Strategy.SPREAD)
    load = Counter(next(iter(choose(placement, pool, f"u{number}").uids)) for number in range(1000))
    assert len(load) == 50
    assert max(load.values()) <= 40


def test_a_hundred_adapters_that_know_of_each_other_spread_evenly() -> None:
    world = World(pods=10, slots=12)
    for number in range(100):
        world.add(f"a{number}", placement={"strategy": "Spread", "replicas": 1})
    world.settle()
    assert {len(names) for names in world.loaded().values()} == {10}


def test_bin_pack_fills_pod_by_pod() -> None:
    world = World(pods=4, slots=5)
    for number in range(10):
        world.add(f"a{number}", placement={"strategy": "BinPack", "replicas": 1})
    world.settle()
    assert sorted(len(names) for names in world.loaded().values()) == [0, 0, 5, 5]


def test_what_found_no_slot_is_placed_once_one_is_free() -> None:
    world = World(pods=1, slots=2)
    first, second, third = (world.add(name, deletion={"drain": "0s"}) for name in ("a", "b", "c"))
    world.settle()
    late = next(each for each in (first, second, third) if each.told.loaded == "0/1")
    assert late.reason("Placed") == ("False", "NoFreeSlots")
    assert late.reason("Ready") == ("False", "NoFreeSlots")
    gone = next(each for each in (first, second, third) if each is not late)
    while not world.leave(gone).done:
        world.tick()
    world.settle()
    assert late.reason("Ready") == ("True", "Ready")


def test_names_that_are_nobodys_take_slots_too() -> None:
    world = World(pods=1, slots=1)
    world.pods["p0"].loaded["by-hand"] = None
    adapter = world.add()
    world.settle()
    assert adapter.reason("Placed") == ("False", "NoFreeSlots")


def test_a_lost_race_for_a_slot_ends_on_another_pod() -> None:

    world = World(pods=2)
    lost: list[str] = []

    def trouble(call: object) -> Trouble | None:
        if isinstance(call, Load) and (not lost or call.pod in lost):
            lost.append(call.pod)
            return Trouble("SLOTS_FULL", "no slot is left", permanent=True)
        return None

    world.troubles = trouble
    adapter = world.add(placement={"strategy": "Spread", "replicas": 1})
    world.settle()
    assert len(lost) == 1
    assert adapter.reason("Ready") == ("True", "Ready")


def test_where_the_files_were_found_out_they_are_loaded_though_another_pod_has_fewer_by_then() -> None:
    scout = Candidate(uid="p1", name="p1", taken=3, here=True, scouted=True)
    emptier = Candidate(uid="p2", name="p2", taken=1)

    def chosen(*candidates: Candidate) -> frozenset[str]:
        return choose(Placement(strategy=Strategy.SPREAD, replicas=1), candidates, "a").uids

    assert chosen(scout, emptier) == {"p1"}
    assert chosen(replace(scout, free=0), emptier) == chosen(replace(scout, scouted=False), emptier) == {"p2"}


def test_each_version_takes_a_slot() -> None:
    entries = [
        PodStatus(pod_uid="p1", engine_name="a--1", state=PodState.LOADED),
        PodStatus(pod_uid="p1", engine_name="a--2", state=PodState.DRAINING),
        PodStatus(pod_uid="p2", engine_name="a--2", state=PodState.PENDING),
        PodStatus(pod_uid="p2", engine_name="a--1", state=PodState.UNLOADED),
        PodStatus(pod_uid="p3", engine_name="", state=PodState.DOWNLOADING),
        PodStatus(pod_uid="p4", engine_name="", state=PodState.FAILED),
    ]
    status = LoRAAdapterStatus(pods=tuple(entries), also_loaded=("p9",))
    assert Counter(taken(status)) == {"p1": 2, "p2": 1, "p3": 1, "p9": 1}


@pytest.mark.parametrize("strategy", [Strategy.SPREAD, Strategy.BIN_PACK])
def test_of_pods_that_are_as_good_one_with_the_files_is_taken(strategy: Strategy) -> None:
    names = "abcdef"
    for chosen in names:
        pool = [Candidate(each, each, taken=1, here=each == chosen) for each in names]
        assert _uids(_placement(strategy), *pool) == [chosen]


def test_files_alone_move_no_adapter_to_a_fuller_pod() -> None:
    pool = [Candidate("a", "a", taken=2, here=True), Candidate("b", "b", taken=1)]
    assert _uids(_placement(Strategy.SPREAD), *pool) == ["b"]
