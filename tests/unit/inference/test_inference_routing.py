"""Which replica gets a request."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_inference.domain.routing import prefixes, rendezvous
from sluice_inference.domain.routing.choosing import choose
from sluice_inference.domain.routing.model import Ask, Choice, NoChoice, ReplicaView, Rules, Standing, Why
from sluice_inference.domain.routing.recent import Recent

NAMES = ("a", "b", "c")
ANY, RULES = Ask(), Rules()


def _views(**changes: dict[str, object]) -> list[ReplicaView]:
    """Three replicas with nothing to do, but for what is said of each."""
    return [replace(ReplicaView(name), **changes.get(name, {})) for name in NAMES]


def _choose(views: list[ReplicaView], ask: Ask = ANY, rules: Rules = RULES, seed: int = 0) -> Choice:
    choice = choose(views, ask, rules, random.Random(seed))
    assert isinstance(choice, Choice), choice
    return choice


def _chosen(views: list[ReplicaView], ask: Ask = ANY, rules: Rules = RULES) -> set[str]:
    """All that chance may choose."""
    return {_choose(views, ask, rules, seed).replica for seed in range(50)}


def test_least_outstanding_work_wins_and_ties_are_spread():
    assert _chosen(_views()) == {"a", "b", "c"}
    assert _chosen(_views(a={"in_flight": 1})) == {"b", "c"}
    assert _choose(_views(a={"in_flight": 2}, b={"in_flight": 2})).why is Why.LOAD


def test_requests_of_others_count_as_ours():
    views = _views(a={"others": 5.0}, b={"in_flight": 2, "others": 2.0}, c={"in_flight": 3})
    assert _chosen(views) == {"c"}


def test_of_equals_the_one_with_more_memory_wins():
    views = _views(a={"kv_usage": 0.5}, b={"kv_usage": 0.1}, c={"in_flight": 3})
    assert _chosen(views) == {"b"}


def test_full_cache_counts_as_work():
    views = _views(a={"kv_usage": 0.95}, b={"in_flight": 1}, c={"in_flight": 5})
    assert _chosen(views) == {"b"}


@pytest.mark.parametrize(
    "ill",
    [
        {"is_draining": True},
        {"is_healthy": False},
        {"standing": Standing.OPEN},
        {"is_busy": True},
    ],
)
def test_who_is_not_ready_gets_nothing(ill: dict[str, object]):
    assert _chosen(_views(a=ill)) == {"b", "c"}
    assert _chosen(_views(a=ill, b=ill)) == {"c"}


def test_all_ill_one_is_tried_all_the_same_but_never_one_that_drains():
    views = _views(a={"standing": Standing.OPEN}, b={"is_healthy": False}, c={"is_draining": True})
    assert _chosen(views) == {"a", "b"}
    assert _choose(views).why is Why.PANIC
    assert choose(views, Ask(only_ready=True), Rules(), random.Random()) is NoChoice.NONE
    busy = _views(**{name: {"is_busy": True} for name in NAMES})
    assert _chosen(busy) == {"a", "b", "c"}
    draining = _views(**{name: {"is_draining": True} for name in NAMES})
    assert choose(draining, Ask(), Rules(), random.Random()) is NoChoice.NONE


def test_replicas_that_failed_the_request_are_not_tried_again():
    assert _chosen(_views(), Ask(tried=("a", "c"))) == {"b"}
    assert choose(_views(), Ask(tried=NAMES), Rules(), random.Random()) is NoChoice.NONE


def test_probe_is_told():
    views = _views(a={"standing": Standing.PROBE}, b={"in_flight": 1}, c={"in_flight": 1})
    assert _choose(views) == Choice("a", Why.PROBE)


def test_only_replicas_that_serve_the_adapter_get_it():
    views = _views(a={"serves": ("x",), "in_flight": 9}, b={"serves": ("y",)}, c={"serves": ("x", "y")})
    assert _chosen(views, Ask("y")) <= {"b", "c"}
    assert _chosen(_views(a={"serves": ("x",), "in_flight": 9}, b={"serves": ("y",)}), Ask("x")) <= {"a", "c"}
    # Where none is said to serve it, what is said is behind: the server knows.
    assert _chosen(views, Ask("z"))


def test_adapter_stays_where_it_is_until_that_replica_has_much_more_to_do():
    resident = Recent(4)
    resident.use(["x"])
    for busier, expected in ((0, True), (2, True), (6, False)):
        views = _views(a={"resident": resident, "in_flight": busier})
        assert ("a" in _chosen(views, Ask("x"))) is expected, busier
    choice = _choose(_views(a={"resident": resident, "in_flight": 1}), Ask("x"))
    assert choice == Choice("a", Why.ADAPTER, hit=True)
    # The busier all are, the more it may have.
    views = _views(a={"resident": resident, "in_flight": 50}, b={"in_flight": 40}, c={"in_flight": 40})
    assert _chosen(views, Ask("x")) == {"a"}
    assert _chosen(views, Ask("x"), Rules(imbalance=0.0)) == {"b", "c"}


def test_adapter_of_requests_in_flight_is_in_a_slot():
    assert _choose(_views(b={"active": ("x",), "in_flight": 1}), Ask("x")) == Choice(
        "b", Why.ADAPTER, hit=True
    )


def test_replica_whose_slots_are_all_used_gets_no_other_adapter():
    home = _choose(_views(), Ask("x")).replica
    views = _views(**{home: {"slots": 2, "active": ("y", "z")}})
    assert home not in _chosen(views, Ask("x"))


def test_adapters_live_on_few_replicas_and_all_replicas_get_some():
    homes = Counter(_choose(_views(), Ask(f"adapter-{i}")).replica for i in range(300))
    assert set(homes) == set(NAMES)
    assert min(homes.values()) > 60
    for i in range(20):  # the same one, whoever chooses
        choices = {_choose(_views(), Ask(f"adapter-{i}"), seed=seed) for seed in range(20)}
        assert len(choices) == 1
        assert choices.pop().why is Why.HOME


def test_replica_that_leaves_moves_its_own_adapters_only():
    for i in range(100):
        before = rendezvous.ranks(f"adapter-{i}", NAMES)
        after = rendezvous.ranks(f"adapter-{i}", ("a", "b"))
        if before["c"] != 0:
            assert min(after, key=after.__getitem__) == min(before, key=before.__getitem__)


PROMPT = "You answer from the passages. " * 100


def test_prompt_goes_where_its_beginning_was_read():
    blocks = prefixes.blocks(("", "acme"), [PROMPT])
    read = Recent(1000)
    read.use(blocks)
    ask = Ask(blocks=blocks)
    assert _choose(_views(b={"prefixes": read}), ask) == Choice("b", Why.PREFIX)
    assert "b" not in _chosen(_views(b={"prefixes": read, "in_flight": 9}), ask)


def test_adapter_weighs_more_than_a_prompt():
    blocks, read, resident = prefixes.blocks(("x", "acme"), [PROMPT]), Recent(1000), Recent(4)
    read.use(blocks)
    resident.use(["x"])
    views = _views(a={"prefixes": read}, b={"resident": resident})
    views = [replace(view, slots=2, active=("y", "z")) if view.name != "b" else view for view in views]
    assert _chosen(views, Ask("x", blocks)) == {"b"}


def test_share_of_a_prompt_ends_at_the_first_block_that_differs():
    block = prefixes.BLOCK
    first = prefixes.blocks(("x", "acme"), ["a" * block + "b" * block + "c" * block + "rest"])
    assert len(first) == 3
    read = Recent(100)
    read.use(first)
    same = prefixes.blocks(("x", "acme"), ["a" * block + "z" * block + "c" * block])
    assert prefixes.share(same, read) == pytest.approx(1 / 3)
    assert prefixes.share(prefixes.blocks(("y", "acme"), ["a" * block]), read) == 0.0
    assert prefixes.share(prefixes.blocks(("x", "other"), ["a" * block]), read) == 0.0
    assert prefixes.blocks(("x", "acme"), ["short"]) == ()


def test_full_server_is_told():
    views = _views(**{name: {"in_flight": 2} for name in NAMES})
    assert choose(views, Ask(), Rules(max_in_flight=2), random.Random()) is NoChoice.FULL
    views[1] = replace(views[1], in_flight=1)
    assert _choose(views, Ask(), Rules(max_in_flight=2)).replica == "b"


def test_recent_forgets_what_was_not_used_for_longest():
    recent = Recent(2)
    recent.use(["x", "y"])
    recent.use(["x", "z"])
    assert [name in recent for name in ("x", "y", "z")] == [True, False, True]
    recent.most = 1
    recent.use(["z"])
    assert len(recent) == 1


@given(
    loads=st.lists(st.integers(0, 200), min_size=2, max_size=8),
    adapter=st.sampled_from(["", "x", "y"]),
    seed=st.integers(0, 9),
)
def test_no_replica_gets_much_more_than_its_part(loads: list[int], adapter: str, seed: int):
    resident = Recent(4)
    resident.use(["x"])
    views = [ReplicaView(f"r{i}", load, resident=resident) for i, load in enumerate(loads)]
    views[0] = replace(views[0], resident=Recent(1))
    chosen = _choose(views, Ask(adapter), seed=seed).replica
    mean = sum(loads) / len(loads)
    # An adapter elsewhere costs once what affinity is worth, a prompt half of it.
    assert loads[int(chosen[1:])] <= min(loads) + 1.5 * max(6.0, 0.5 * mean) + 0.5
