"""How an adapter leaves."""

from typing import Any

import pytest

from sluice_api.adapters import is_resting, names_in_rotation
from sluice_api.statuses.lora_adapter import PodState
from sluice_operator.agents.protocol import Load, Resolve, Unload
from sluice_operator.agents.views import Trouble
from support.adapter_world import Adapter, World, calls_of, model_server


@pytest.fixture(params=[True, False], ids=["agents say when", "agents are up to date"])
def world(request: pytest.FixtureRequest) -> World:
    return World(pods=3, knows_when=request.param)


def _settled(world: World, **spec: Any) -> Adapter:
    adapter = world.add(**{"deletion": {"drain": "30s", "timeout": "120s"}, **spec})
    world.settle()
    adapter.starts.clear()
    return adapter


def _gone(world: World, adapter: Adapter, seconds: float = 5.0, passes: int = 60) -> float:
    """Passes until it is done; the seconds that it took."""
    began = world.now
    for _ in range(passes):
        if world.leave(adapter).done:
            return world.now - began
        world.tick(seconds)
    raise AssertionError(f"not gone: {adapter.status}")


def test_it_leaves_rotation_then_drains_and_is_unloaded_then(world: World) -> None:
    adapter = _settled(world)
    leaving = world.leave(adapter)
    assert not leaving.done
    assert is_resting(adapter.item.object)
    assert names_in_rotation(adapter.told) == {}
    assert set(adapter.states().values()) == {PodState.DRAINING}
    world.tick(29)
    world.leave(adapter)
    assert not adapter.starts
    world.tick(2)
    world.leave(adapter)
    assert {(type(call), call.pod) for call in adapter.starts} == {(Unload, uid) for uid in world.pods}
    world.tick()
    _gone(world, adapter)
    assert set(world.loaded().values()) == {frozenset()}


def test_it_is_done_only_when_the_engines_list_it_no_more(world: World) -> None:
    adapter = _settled(world)
    stubborn = world.pods["p1"]
    name = adapter.told.engine_name
    for _ in range(8):
        assert not world.leave(adapter).done
        world.tick(10)
        stubborn.loaded[name] = None  # the engine says yes and keeps it
    assert len([call for call in calls_of(adapter, Unload) if call.pod == "p1"]) > 1
    del stubborn.loaded[name]
    world.tick()
    _gone(world, adapter)


def test_all_versions_go(world: World) -> None:
    adapter = _settled(world)
    adapter.revise("r2")
    world.settle()
    assert {len(names) for names in world.loaded().values()} == {2}
    _gone(world, adapter)
    assert set(world.loaded().values()) == {frozenset()}


def test_pods_that_are_gone_are_done(world: World) -> None:
    adapter = _settled(world)
    world.leave(adapter)
    world.pods.clear()
    world.tick()
    assert world.leave(adapter).done


def test_what_was_never_loaded_goes_at_once(world: World) -> None:
    adapter = world.add()
    world.pass_over(adapter)
    assert world.leave(adapter).done


def test_a_load_that_goes_on_is_waited_for(world: World) -> None:
    adapter = world.add(deletion={"drain": "1s"})
    while not calls_of(adapter, Load):
        world.pass_over(adapter)
        if not calls_of(adapter, Load):
            world.tick()
    for _ in range(3):
        assert not world.leave(adapter).done
        world.now += 1
    world.tick()
    _gone(world, adapter)
    assert set(world.loaded().values()) == {frozenset()}


def test_pods_that_do_not_answer_are_waited_for_until_the_timeout_alone(world: World) -> None:
    adapter = _settled(world)
    world.pods["p2"].reachable = False
    assert 120 <= _gone(world, adapter) <= 130
    assert [len(world.loaded()[f"vllm-{number}"]) for number in range(3)] == [0, 0, 1]
    assert adapter.reason("Loaded") == ("Unknown", "UnloadTimedOut")
    assert f"{adapter.told.resolved.engine_name} on vllm-2" in adapter.message("Loaded")  # type: ignore[union-attr]
    assert "vllm-1" not in adapter.message("Loaded")


def test_a_pod_that_answers_again_in_time_is_unloaded(world: World) -> None:
    adapter = _settled(world)
    world.pods["p2"].reachable = False
    for _ in range(10):
        world.leave(adapter)
        world.tick(5)
    world.pods["p2"].reachable = True
    assert _gone(world, adapter) < 60
    assert set(world.loaded().values()) == {frozenset()}


def test_unloading_is_tried_again(world: World) -> None:
    adapter = _settled(world)
    world.troubles = lambda call: Trouble("ENGINE_FAILED", "busy", True) if isinstance(call, Unload) else None
    for _ in range(12):
        world.leave(adapter)
        world.tick(5)
    assert "busy" in adapter.message("Loaded")
    world.troubles = lambda call: None
    _gone(world, adapter)
    assert set(world.loaded().values()) == {frozenset()}


def test_orphans_stay_loaded(world: World) -> None:
    adapter = _settled(world, deletion={"policy": "Orphan"})
    assert world.leave(adapter).done
    assert {len(names) for names in world.loaded().values()} == {1}


def test_without_its_server_it_goes_at_once(world: World) -> None:
    adapter = _settled(world)
    world.server = None
    assert world.leave(adapter).done


def test_with_an_external_server_it_goes_at_once(world: World) -> None:
    world.server = model_server(external={"urls": ["http://llm/v1"]})
    adapter = world.add()
    world.pass_over(adapter)
    assert world.leave(adapter).done


@pytest.mark.parametrize("step", range(12))
def test_an_operator_that_starts_anew_goes_on(world: World, step: int) -> None:
    adapter = _settled(world)
    for number in range(12):
        if number == step:
            adapter.running.clear()
            adapter.ended.clear()
        if world.leave(adapter).done:
            break
        world.tick(5)
    else:
        _gone(world, adapter)
    assert set(world.loaded().values()) == {frozenset()}


def test_the_younger_of_two_with_one_alias_takes_nothing_with_it(world: World) -> None:
    _settled(world)
    younger = world.add("fr2", "r2", modelName="fr")
    world.settle()
    assert world.leave(younger).done
    assert {len(names) for names in world.loaded().values()} == {1}


def test_nothing_is_loaded_while_it_leaves(world: World) -> None:
    adapter = world.add()
    world.pods["p0"].engine_reachable = False
    for _ in range(8):
        world.pass_over(adapter)
        world.tick()
    adapter.starts.clear()
    world.pods["p0"].engine_reachable = True
    _gone(world, adapter)
    assert not calls_of(adapter, Load) + calls_of(adapter, Resolve)


def test_what_is_loaded_is_found_without_a_status(world: World) -> None:
    adapter = _settled(world)
    adapter.status = {}
    _gone(world, adapter)
    assert set(world.loaded().values()) == {frozenset()}
