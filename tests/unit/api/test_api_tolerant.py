"""Objects of which some are bad: what is in force always compiles, and only what must be is set back."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_api.compiling import compile_objects
from sluice_api.errors import CompileError, Problem
from sluice_api.loading import LoadedObject, parse
from sluice_api.objects.base import API_VERSION
from sluice_api.tolerant import Current, Good, Key, Settled, State, settle

Objects = dict[Key, Current]

POLICY, BASE, SERVER = "GuardrailPolicy", "KnowledgeBase", "ModelServer"
VLLM = {"baseModel": "base", "vllm": {"image": "vllm"}}
EXTRACTIVE: dict[str, Any] = {"extractive": {}}


def current(
    kind: str,
    name: str,
    spec: Mapping[str, Any],
    *,
    namespace: str = "default",
    generation: int = 1,
    age: int = 5,
    status: Mapping[str, Any] | None = None,
) -> Objects:
    content = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
        "status": status or {},
    }
    found = list(parse(namespace, 0, content))
    parsed = next((each.object for each in found if isinstance(each, LoadedObject)), None)
    return {
        Key(kind, namespace, name): Current(
            object=parsed,
            generation=generation,
            created_at=f"2026-01-01T00:00:{60 - age:02}Z",
            problems=tuple(each for each in found if isinstance(each, Problem)),
            status=status or {},
        )
    }


def pipeline(name: str = "default", **spec: Any) -> Objects:
    full = {
        "knowledgeBaseRef": "kb",
        "guardrailPolicyRef": "policy",
        "steps": {"generate": {"modelServerRef": "server"}},
        **spec,
    }
    return current("Pipeline", name, full)


def adapter(name: str, alias: str = "", server: str = "server", **more: Any) -> Objects:
    spec = {
        "modelServerRef": server,
        "modelName": alias or name,
        "revision": "1",
        "source": {"http": {"url": "https://example.org/a.tar"}},
    }
    return current("LoRAAdapter", name, spec, **more)


def experiment(arm: str, **more: Any) -> Objects:
    arms = [
        {"name": "control", "role": "Control", "weight": 50},
        {"name": "new", "role": "Treatment", "adapterRef": arm, "weight": 50},
    ]
    return current(
        "AdapterExperiment", "split", {"modelServerRef": "server", "modelName": "base", "arms": arms}, **more
    )


ALL = {
    **current(BASE, "kb", {}),
    **current(POLICY, "policy", {}),
    **current(SERVER, "server", VLLM),
    **pipeline(),
}

KB, GUARD, ENGINE, RUN = (
    Key(kind, "default", name)
    for kind, name in ((BASE, "kb"), (POLICY, "policy"), (SERVER, "server"), ("Pipeline", "default"))
)


def states(settled: Settled) -> dict[Key, State]:
    return {key: standing.state for key, standing in settled.standings.items()}


def message(settled: Settled, key: Key) -> str:
    return " ".join(f"{each.field} {each.message}" for each in settled.standings[key].problems)


def test_good_objects_are_in_force() -> None:
    settled = settle(ALL, {})

    assert set(states(settled).values()) == {State.IN_FORCE}
    loaded = [LoadedObject(each.object, "", 0) for each in ALL.values() if each.object is not None]
    assert settled.snapshot == compile_objects(loaded).snapshot


def test_a_bad_change_is_held_at_the_last_good_spec_and_says_why() -> None:
    before = settle(ALL, {})
    bad = {**ALL, **current(POLICY, "policy", {"mode": "sometimes"}, generation=7)}

    after = settle(bad, before.good)

    assert after.snapshot == before.snapshot
    assert after.standings[GUARD].state is State.HELD
    assert after.standings[GUARD].generation == 1
    assert "spec.mode" in message(after, GUARD)
    assert states(after)[RUN] is State.IN_FORCE


def test_what_was_never_good_is_left_out_with_what_needs_it() -> None:
    without = settle({**ALL, **current(POLICY, "policy", {"mode": "sometimes"})}, {})

    assert states(without) == {
        KB: State.IN_FORCE,
        GUARD: State.LEFT_OUT,
        ENGINE: State.IN_FORCE,
        RUN: State.LEFT_OUT,
    }
    assert "there is no GuardrailPolicy 'policy'" in message(without, RUN)


def test_other_changes_go_on() -> None:
    before = settle(ALL, {})
    changed = {**ALL, **pipeline(knowledgeBaseRef="gone"), **current(POLICY, "policy", {"mode": "shadow"})}

    after = settle(changed, before.good)

    assert states(after)[RUN] is State.HELD
    assert states(after)[GUARD] is State.IN_FORCE
    assert after.snapshot.guardrail_policies["policy"].spec.mode == "shadow"


def test_a_deleted_policy_stays_while_a_pipeline_refers_to_it() -> None:
    before = settle(ALL, {})
    without = {key: each for key, each in ALL.items() if key != GUARD}

    kept = settle(without, before.good)
    again = settle(without, kept.good)
    elsewhere = {**without, **current(POLICY, "other", {}), **pipeline(guardrailPolicyRef="other")}
    free = settle(elsewhere, again.good)

    assert kept.snapshot == again.snapshot == before.snapshot
    assert states(kept)[GUARD] is State.KEPT
    assert states(kept)[RUN] is State.IN_FORCE
    assert set(free.snapshot.guardrail_policies) == {"other"}
    assert GUARD not in free.standings
    assert GUARD not in free.good


def test_a_deleted_adapter_that_an_experiment_names_serves_nobody() -> None:
    full = {**ALL, **adapter("fine", status={"engineName": "fine--1"}), **experiment("fine")}
    before = settle(full, {})

    after = settle({key: each for key, each in full.items() if key.kind != "LoRAAdapter"}, before.good)

    assert before.snapshot.experiments["split"].resting == ()
    assert after.snapshot.experiments["split"].resting == ("new",)
    assert after.snapshot.adapters["fine"].resting


def test_the_older_of_two_with_one_name_wins_and_the_other_follows_it() -> None:
    twice = {
        **ALL,
        **current(POLICY, "policy", {"mode": "shadow"}, namespace="a", age=1),
    }

    both = settle(twice, {})
    one = settle({key: each for key, each in twice.items() if key != GUARD}, both.good)

    assert both.snapshot.guardrail_policies["policy"].spec.mode == "enforce"
    assert states(both)[Key(POLICY, "a", "policy")] is State.LEFT_OUT
    assert "namespace 'default' has a GuardrailPolicy of that name too" in message(
        both, Key(POLICY, "a", "policy")
    )
    assert one.snapshot.guardrail_policies["policy"].spec.mode == "shadow"


def test_an_alias_stays_with_who_has_it() -> None:
    before = settle({**ALL, **adapter("new", "fine", age=1)}, {})

    after = settle({**ALL, **adapter("new", "fine", age=1), **adapter("old", "fine", age=50)}, before.good)
    fresh = settle({**ALL, **adapter("new", "fine", age=1), **adapter("old", "fine", age=50)}, {})

    assert set(after.snapshot.adapters) == {"new"}
    assert set(fresh.snapshot.adapters) == {"old"}


def test_a_server_that_no_longer_fits_its_adapters_is_held_not_they() -> None:
    full = {**ALL, **adapter("fine")}
    before = settle(full, {})

    after = settle({**full, **current(SERVER, "server", EXTRACTIVE, generation=2)}, before.good)

    assert after.snapshot == before.snapshot
    assert states(after)[ENGINE] is State.HELD
    assert states(after)[Key("LoRAAdapter", "default", "fine")] is State.IN_FORCE
    assert "loads no adapters" in message(after, ENGINE)


def test_who_changed_beside_the_culprit_is_not_set_back() -> None:
    full = {**ALL, **adapter("fine")}
    before = settle(full, {})
    both = {**full, **current(SERVER, "server", EXTRACTIVE), **adapter("fine", "finer")}

    after = settle(both, before.good)

    assert after.snapshot.adapters["fine"].model_name == "finer"
    assert states(after)[ENGINE] is State.HELD


def test_two_that_swap_their_aliases_do_so() -> None:
    before = settle({**ALL, **adapter("a", "x"), **adapter("b", "y")}, {})

    after = settle({**ALL, **adapter("a", "y"), **adapter("b", "x")}, before.good)

    assert {name: each.model_name for name, each in after.snapshot.adapters.items()} == {"a": "y", "b": "x"}


def test_a_verdict_for_no_arm_and_an_endpoint_that_is_none_cost_nothing_else() -> None:
    told = [{"name": "pod-1", "url": "http://10.0.0.1:8000/v1"}, {"name": "pod-2"}]
    full = {
        **ALL,
        **adapter("fine"),
        **current(SERVER, "server", VLLM, status={"endpoints": told}),
    }
    before = settle({**full, **experiment("fine")}, {})

    after = settle({**full, **experiment("fine", status={"promoted": "nobody"})}, before.good)

    assert [each.name for each in after.snapshot.endpoints["server"]] == ["pod-1"]
    assert after.snapshot.experiments["split"].promoted == ""
    assert set(states(after).values()) == {State.IN_FORCE}


NAMES = st.sampled_from(("a", "b", "c"))
NAMESPACES = st.sampled_from(("default", "other"))
ALIASES = st.sampled_from(("x", "y", "base"))

OBJECTS = st.one_of(
    st.builds(
        lambda name, namespace, spec, age: current(POLICY, name, spec, namespace=namespace, age=age),
        NAMES, NAMESPACES, st.sampled_from(({}, {"mode": "shadow"}, {"mode": "sometimes"})), st.integers(0, 59),
    ),
    st.builds(lambda name, spec: current(BASE, name, spec), NAMES, st.sampled_from(({}, {"no": 1}))),
    st.builds(
        lambda name, namespace, spec: current(SERVER, name, spec, namespace=namespace),
        NAMES, NAMESPACES, st.sampled_from((VLLM, EXTRACTIVE, {})),
    ),
    st.builds(
        lambda name, policy, base, server: pipeline(
            name,
            guardrailPolicyRef=policy,
            knowledgeBaseRef=base,
            steps={"generate": {"modelServerRef": server}},
        ),
        NAMES, NAMES, NAMES, NAMES,
    ),
    st.builds(lambda name, alias, server, age: adapter(name, alias, server, age=age), NAMES, ALIASES, NAMES,
              st.integers(0, 59)),
    st.builds(
        lambda name, server, arm, promoted: current(
            "AdapterExperiment",
            name,
            {
                "modelServerRef": server,
                "modelName": "base",
                "arms": [
                    {"name": "control", "role": "Control", "weight": 50},
                    {"name": "new", "role": "Treatment", "adapterRef": arm, "weight": 50},
                ],
            },
            status={"promoted": promoted},
        ),
        NAMES, NAMES, NAMES, st.sampled_from(("", "new", "gone")),
    ),
)  # fmt: skip

WORLDS = st.lists(OBJECTS, max_size=14).map(
    lambda parts: {key: each for part in parts for key, each in part.items()}
)


def _all_in_force(settled: Settled) -> bool:
    return set(states(settled).values()) <= {State.IN_FORCE}


def _compiles(objects: Mapping[Key, Current | Good]) -> bool:
    try:
        compile_objects(
            [LoadedObject(each.object, key.namespace, 0) for key, each in objects.items() if each.object]
        )
    except CompileError:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(st.lists(WORLDS, min_size=1, max_size=4), st.randoms())
def test_whatever_comes_compiles_and_what_is_not_touched_stays(worlds: list[Objects], random: Any) -> None:
    good: Mapping[Key, Good] = {}
    for world in worlds:
        settled = settle(world, good)
        shuffled = list(world.items())
        random.shuffle(shuffled)

        assert _compiles(settled.good)
        assert settle(dict(shuffled), good).snapshot == settled.snapshot
        assert settle(world, settled.good).snapshot == settled.snapshot
        for key, each in world.items():
            standing = settled.standings[key]
            assert standing.problems or standing.state is State.IN_FORCE
            if key in good and each.object is not None and each.object.spec == good[key].object.spec:
                assert standing.state is State.IN_FORCE
            if key in good:
                assert standing.state is not State.LEFT_OUT
        if _compiles(world) and all(each.object for each in world.values()):
            assert all(settled.standings[key].state is State.IN_FORCE for key in world)
        good = settled.good


@settings(max_examples=150, deadline=None)
@given(WORLDS, OBJECTS)
def test_nobody_is_set_back_who_need_not_be_and_taking_a_change_back_restores(
    world: Objects, change: Objects
) -> None:
    before = settle(world, {})
    changed = {**world, **change}

    after = settle(changed, before.good)
    restored = settle(world, after.good)

    for key, standing in after.standings.items():
        if standing.state in (State.HELD, State.LEFT_OUT) and changed[key].object is not None:
            assert not _compiles({**after.good, key: changed[key]})
    if _all_in_force(before):
        assert restored.snapshot == before.snapshot
