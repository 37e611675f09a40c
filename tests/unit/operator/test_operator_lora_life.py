"""An adapter's life in a small world of pods and agents: load, swap, going back, restarts, retries."""

from dataclasses import replace
from typing import Any

import pytest

from sluice_api.adapters import is_resting, names_in_rotation
from sluice_api.statuses.lora_adapter import PodState
from sluice_operator.agents.protocol import Call, Load, Resolve, Unload
from sluice_operator.agents.views import Trouble
from sluice_operator.kinds.lora_adapter.naming import alias_of, engine_name
from sluice_operator.kinds.lora_adapter.plan import plan
from support.adapter_world import START, Adapter, World, calls_of, resolved, version

R1, R2, R3 = (engine_name("fr", version(each)) for each in ("r1", "r2", "r3"))


@pytest.fixture(params=[True, False], ids=["agents say when", "agents are up to date"])
def world(request: pytest.FixtureRequest) -> World:
    return World(pods=3, knows_when=request.param)


def _on(world: World, name: str) -> int:
    return sum(name in pod.loaded for pod in world.pods.values())


def _settled(world: World, revision: str = "r1", **spec: Any) -> Adapter:
    adapter = world.add(revision=revision, **spec)
    world.settle()
    adapter.starts.clear()
    return adapter


def test_one_pod_resolves_and_all_load(world: World) -> None:
    adapter = world.add()
    world.pass_over(adapter)
    assert adapter.reason("SourceResolved") == ("Unknown", "Resolving")
    assert len(adapter.starts) == 1
    world.settle()
    assert set(world.loaded().values()) == {frozenset({R1})}
    told = adapter.told
    assert (told.engine_name, told.revision, told.loaded) == (R1, "r1", "3/3")
    assert {each.status.value for each in told.conditions} == {"True"}
    assert not is_resting(adapter.item.object)
    assert [call.digest for call in calls_of(adapter, Resolve)] == ["", *[version("r1").digest] * 2]


@pytest.mark.parametrize("strategy", ["Spread", "BinPack", "Ordered"])
def test_files_are_fetched_once_where_one_pod_is_to_have_them(world: World, strategy: str) -> None:
    for number in range(6):
        adapter = world.add(f"of{number}", placement={"strategy": strategy, "replicas": 1})
        world.settle()
        assert adapter.told.loaded == "1/1"
        assert len(calls_of(adapter, Resolve)) == 1


def test_a_name_is_the_alias_and_what_the_files_are() -> None:
    assert R1.startswith("fr--")
    assert len(R1) == len("fr--") + 10
    assert R1 != R2
    assert (alias_of(R1), alias_of("fr"), alias_of("a--b--0123456789")) == ("fr", "", "a--b")


def test_a_settled_world_writes_nothing_new(world: World) -> None:
    adapter = _settled(world)
    before = adapter.status
    world.now += 100
    assert world.pass_over(adapter) == ()
    assert adapter.status == before


def test_the_alias_changes_over_once_min_available_pods_have_the_new_version(world: World) -> None:
    adapter = _settled(world, placement={"minAvailable": 2})
    broken = {"p1", "p2"}
    world.troubles = lambda call: Trouble("ENGINE_REFUSED", "no", True) if call.pod in broken else None
    adapter.revise("r2")
    world.settle()
    assert (_on(world, R2), adapter.told.engine_name) == (1, R1)
    assert adapter.reason("Ready") == ("True", "EarlierRevision")
    assert "1 more" in adapter.message("Ready")
    assert adapter.reason("Loaded") == ("False", "PartiallyLoaded")
    broken.remove("p2")
    adapter.edit(tenants=["a"])
    world.settle()
    assert (adapter.told.engine_name, adapter.told.loaded) == (R2, "2/3")
    assert adapter.reason("Ready") == ("True", "Ready")


def test_a_bad_revision_never_takes_the_good_one_out(world: World) -> None:
    adapter = _settled(world)
    world.troubles = lambda call: (
        Trouble("SHAPE_MISMATCH", "q_proj does not fit", True)
        if isinstance(call, Resolve) and call.source.local and call.source.local.path == "/r2"
        else None
    )
    adapter.revise("r2")
    world.settle()
    assert set(world.loaded().values()) == {frozenset({R1})}
    assert (adapter.told.engine_name, adapter.told.revision) == (R1, "r1")
    assert adapter.reason("Compatible") == ("False", "ShapeMismatch")
    assert adapter.reason("Ready") == ("True", "EarlierRevision")
    assert "q_proj does not fit" in adapter.message("Ready")
    assert not is_resting(adapter.item.object)
    late = world.add_pod()
    world.settle()
    assert R1 in late.loaded, "a new pod gets the version that is in rotation"


def test_the_version_before_stays_for_the_rollback_window_and_is_drained_then(world: World) -> None:
    adapter = _settled(world, rollbackWindow="600s", deletion={"drain": "30s"})
    adapter.revise("r2")
    world.settle()
    told = adapter.told
    assert (told.engine_name, told.revision) == (R2, "r2")
    assert told.previous is not None
    assert told.previous.engine_name == R1
    assert set(world.loaded().values()) == {frozenset({R1, R2})}
    assert set(names_in_rotation(told).values()) == {frozenset({R1, R2})}
    world.now += 601
    world.pass_over(adapter)
    assert adapter.told.previous is None
    assert {state for (_, name), state in adapter.states().items() if name == R1} == {PodState.DRAINING}
    assert set(names_in_rotation(adapter.told).values()) == {frozenset({R2})}
    assert _on(world, R1) == 3, "what may be asked for yet is not unloaded"
    world.settle()
    assert set(world.loaded().values()) == {frozenset({R2})}
    assert {name for _, name in adapter.states()} == {R2}


def test_going_back_within_the_window_loads_nothing(world: World) -> None:
    adapter = _settled(world)
    adapter.revise("r2")
    world.settle()
    adapter.starts.clear()
    adapter.revise("r1")
    assert world.pass_over(adapter) == ()
    told = adapter.told
    assert (told.engine_name, told.revision) == (R1, "r1")
    assert told.previous is not None
    assert told.previous.engine_name == R2
    assert adapter.reason("Ready") == ("True", "Ready")


def test_a_third_version_lets_the_first_go(world: World) -> None:
    adapter = _settled(world, deletion={"drain": "1s"})
    for revision in ("r2", "r3"):
        adapter.revise(revision)
        world.settle()
    assert set(world.loaded().values()) == {frozenset({R2, R3})}


def test_the_version_before_makes_room_where_a_new_one_finds_no_slot() -> None:
    world = World(pods=2, slots=2)
    adapter = _settled(world, deletion={"drain": "5s"})
    adapter.revise("r2")
    world.settle()
    adapter.revise("r3")
    world.settle()
    assert adapter.told.engine_name == R3
    assert set(world.loaded().values()) == {frozenset({R2, R3})}


def test_a_label_alone_takes_over_at_once(world: World) -> None:
    adapter = _settled(world)
    world.contents = lambda source: resolved("r1")
    adapter.revise("r1-again")
    world.settle()
    assert (adapter.told.engine_name, adapter.told.revision) == (R1, "r1-again")
    assert adapter.told.previous is None
    assert not calls_of(adapter, Load)


def test_a_new_version_waits_until_the_endpoints_name_it() -> None:
    world = World(pods=1)
    adapter = _settled(world)
    adapter.revise("r2")
    for _ in range(4):
        world.pass_over(adapter)
        world.tick(0.1)
    assert adapter.states()["vllm-0", R2] is PodState.LOADED
    assert adapter.told.engine_name == R1
    assert R2 in names_in_rotation(adapter.told)["p0"]
    assert world.server is not None
    endpoints = [{"name": "vllm-0", "url": "http://10.0.0.1/v1", "adapters": [R1, R2]}]
    world.server = world.server.model_copy(update={"status": {"endpoints": endpoints}})
    world.pass_over(adapter)
    assert adapter.told.engine_name == R2


def test_a_restarted_engine_gets_it_at_once(world: World) -> None:
    adapter = _settled(world)
    pod = world.pods["p1"]
    world.restart(pod)
    assert [(type(call), call.pod) for call in world.pass_over(adapter)] == [(Load, "p1")]
    assert adapter.reason("Loaded") == ("False", "PartiallyLoaded")
    assert adapter.reason("Ready") == ("True", "Ready")
    world.settle()
    assert R1 in pod.loaded


def test_the_end_of_a_load_before_the_restart_says_nothing(world: World) -> None:
    adapter = world.add(placement={"strategy": "Ordered", "replicas": 1})
    while not calls_of(adapter, Load):
        world.pass_over(adapter)
        if not calls_of(adapter, Load):
            world.tick()
    world.tick()
    pod = world.pods[calls_of(adapter, Load)[0].pod]
    world.restart(pod)
    world.pass_over(adapter)
    assert adapter.states()[pod.name, R1] is PodState.LOADING
    world.settle()
    assert R1 in pod.loaded


def test_a_name_that_the_engine_lost_is_loaded_again(world: World) -> None:
    adapter = _settled(world)
    world.now += 10
    world.pods["p2"].loaded.clear()
    assert [(type(call), call.pod) for call in world.pass_over(adapter)] == [(Load, "p2")]


def test_a_dead_pod_is_replaced_and_a_leaving_one_too(world: World) -> None:
    adapter = _settled(world, placement={"strategy": "Spread", "replicas": 2})
    there = [pod for pod in world.pods.values() if pod.loaded]
    del world.pods[there[0].uid]
    there[1].leaving = True
    world.add_pod()
    world.settle()
    assert adapter.told.loaded == "2/2"
    assert there[1].name not in {name for name, _ in adapter.states()}


def test_fewer_replicas_drain_the_surplus_and_more_bring_it_back(world: World) -> None:
    adapter = _settled(world, placement={"strategy": "Spread", "replicas": 3}, deletion={"drain": "60s"})
    adapter.edit(placement={"replicas": 1})
    world.pass_over(adapter)
    assert sorted(adapter.states().values()) == [PodState.DRAINING] * 2 + [PodState.LOADED]
    adapter.edit(placement={"replicas": 2})
    assert world.pass_over(adapter) == (), "what drains comes back without a load"
    assert sorted(adapter.states().values()) == [PodState.DRAINING] + [PodState.LOADED] * 2
    world.now += 61
    world.settle()
    assert _on(world, R1) == 2


def test_an_agent_that_does_not_answer_has_not_unloaded_anything(world: World) -> None:
    adapter = _settled(world)
    world.now += 10
    world.pods["p0"].reachable = False
    world.pods["p1"].engine_reachable = False
    assert world.pass_over(adapter) == ()
    assert set(adapter.states().values()) == {PodState.LOADED}
    assert adapter.reason("Loaded")[0] == "Unknown"
    assert adapter.reason("Ready") == ("True", "Ready")
    world.pods["p0"].reachable = world.pods["p1"].engine_reachable = True
    world.pass_over(adapter)
    assert adapter.reason("Loaded") == ("True", "AllLoaded")


def test_an_operator_that_has_asked_nobody_yet_changes_nothing(world: World) -> None:
    adapter = _settled(world)
    before = adapter.status
    for pod in world.pods.values():
        pod.asked = False
    assert world.pass_over(adapter) == ()
    assert adapter.status == before


def test_other_files_under_the_name_are_unloaded_first(world: World) -> None:
    adapter = world.add()
    world.pods["p0"].loaded[R1] = version("other")
    world.pods["p1"].loaded[R1] = None
    world.settle()
    assert {pod.loaded[R1] for pod in world.pods.values()} == {version("r1")}
    assert {call.pod for call in calls_of(adapter, Unload)} == {"p0", "p1"}


def test_versions_that_nobody_wants_are_unloaded_and_others_are_left_alone(world: World) -> None:
    world.pods["p0"].loaded |= {engine_name("fr", version("lost")): version("lost"), "theirs": None}
    _settled(world)
    assert world.loaded()["vllm-0"] == {R1, "theirs"}


def test_a_load_is_tried_again_with_growing_waits_and_then_no_more(world: World) -> None:
    adapter = world.add(load={"maxAttempts": 3, "backoff": "10s", "maxBackoff": "15s"})
    world.troubles = lambda call: (
        Trouble("ENGINE_FAILED", "out of memory") if isinstance(call, Load) and call.pod == "p1" else None
    )
    waits = []
    for _ in range(100):
        world.pass_over(adapter)
        world.tick()
        waits += [world.now for call in calls_of(adapter, Load) if call.pod == "p1"]
        adapter.starts.clear()
    assert len(waits) == 3
    assert 5 <= waits[1] - waits[0] <= 12
    assert 7 <= waits[2] - waits[1] <= 17
    entry = next(each for each in adapter.told.pods if each.pod_uid == "p1")
    assert (entry.state, entry.attempts, entry.next_attempt_time) == (PodState.FAILED, 3, None)
    assert adapter.told.pods[0] == entry, "what fails comes first"
    assert adapter.reason("Loaded") == ("False", "PartiallyLoaded")
    assert "out of memory" in adapter.message("Loaded")
    world.troubles = lambda call: None
    world.now += 1000
    assert world.pass_over(adapter) == ()
    adapter.edit(tenants=["a"])
    world.settle()
    assert adapter.told.loaded == "3/3"


def test_a_restarted_pod_takes_new_courage(world: World) -> None:
    adapter = world.add()
    world.troubles = lambda call: Trouble("ENGINE_REFUSED", "no", True) if isinstance(call, Load) else None
    world.settle()
    assert adapter.reason("Ready") == ("False", "EngineRefused")
    world.troubles = lambda call: None
    for pod in world.pods.values():
        world.restart(pod)
    world.settle()
    assert adapter.told.loaded == "3/3"


def test_an_outage_uses_up_no_attempt() -> None:
    world = World(pods=1)
    adapter = world.add(load={"maxAttempts": 2, "backoff": "1s", "maxBackoff": "4s"})
    world.troubles = lambda call: (
        Trouble("ENGINE_UNREACHABLE", "starting") if isinstance(call, Load) else None
    )
    for _ in range(60):
        world.pass_over(adapter)
        world.tick()
    assert len(calls_of(adapter, Load)) > 5
    world.troubles = lambda call: None
    world.tick(5)
    world.settle()
    assert adapter.told.loaded == "1/1"


def test_files_that_made_way_are_fetched_again(world: World) -> None:
    adapter = _settled(world)
    world.restart(world.pods["p0"])
    world.pods["p0"].here.clear()
    world.now += 10
    world.settle()
    assert adapter.told.loaded == "3/3"
    gone = world.pods["p1"]
    world.restart(gone)
    world.pass_over(adapter)
    gone.here.clear()
    world.tick()
    world.settle()
    assert R1 in gone.loaded


def test_a_resolution_that_fails_goes_to_another_pod_once_it_is_hopeless(world: World) -> None:
    bad: list[str] = []

    def trouble(call: Call) -> Trouble | None:
        bad.append(call.pod) if not bad else None
        return Trouble("DISK_FULL", "full") if call.pod == bad[0] else None

    world.troubles = trouble
    adapter = world.add(
        load={"maxAttempts": 2, "backoff": "1s"}, placement={"strategy": "Ordered", "replicas": 1}
    )
    for _ in range(30):
        world.pass_over(adapter)
        world.tick()
    assert [call.pod for call in calls_of(adapter, Resolve)][:2] == [bad[0]] * 2
    assert adapter.told.resolved is not None


def test_what_every_pod_would_say_is_asked_of_one_alone(world: World) -> None:
    adapter = world.add()
    world.troubles = lambda call: Trouble("DIGEST_MISMATCH", "other files", True)
    world.settle()
    world.now += 10_000
    world.pass_over(adapter)
    assert len(adapter.starts) == 1
    assert adapter.reason("SourceResolved") == ("False", "DigestMismatch")
    assert adapter.reason("Ready") == ("False", "DigestMismatch")
    world.troubles = lambda call: None
    del world.pods[adapter.starts[0].pod]
    world.settle()
    assert adapter.told.loaded == "2/2", "with its pod the verdict is gone, too"


def test_an_operator_that_starts_anew_goes_on_from_the_status(world: World) -> None:
    adapter = world.add()
    for _ in range(12):
        world.pass_over(adapter)
        adapter.running.clear()  # what the old one had going is lost
        world.pass_over(adapter)
        world.tick()
    world.settle()
    assert adapter.told.loaded == "3/3"


def test_the_older_of_two_with_one_alias_serves_on(world: World) -> None:
    older = _settled(world)
    younger = world.add("fr2", "r2", modelName="fr")
    world.settle()
    assert younger.reason("Ready") == ("False", "AliasConflict")
    assert not younger.starts
    assert older.reason("Ready") == ("True", "Ready")
    assert set(world.loaded().values()) == {frozenset({R1})}
    del world.adapters[older.uid]
    world.settle()
    assert set(world.loaded().values()) == {frozenset({R2})}


def test_another_alias_serves_under_the_old_name_until_the_new_one_is_loaded(world: World) -> None:
    adapter = _settled(world)
    adapter.edit(modelName="french")
    world.pass_over(adapter)
    assert adapter.told.engine_name == R1
    world.settle()
    assert adapter.told.engine_name == engine_name("french", version("r1"))
    assert not calls_of(adapter, Resolve)


def test_a_server_that_is_out_of_sight_takes_nothing_out(world: World) -> None:
    adapter = _settled(world)
    server, world.server = world.server, None
    assert world.pass_over(adapter) == ()
    assert adapter.reason("Ready") == ("False", "ModelServerNotFound")
    assert set(adapter.states().values()) == {PodState.LOADED}
    world.server = server
    assert world.pass_over(adapter) == ()
    assert adapter.reason("Ready") == ("True", "Ready")


def test_what_is_loaded_outlives_a_lost_status(world: World) -> None:
    adapter = _settled(world)
    adapter.status = {}
    world.settle()
    assert adapter.reason("Ready") == ("True", "Ready")
    assert not calls_of(adapter, Unload)
    assert not calls_of(adapter, Load)


def test_a_source_that_stays_away_is_given_up_and_the_message_says_so(world: World) -> None:
    adapter = world.add(load={"maxAttempts": 2, "backoff": "1s"})
    world.troubles = lambda call: Trouble("SOURCE_UNAVAILABLE", "503")
    world.settle()
    assert len(adapter.starts) == 2 * len(world.pods)
    assert adapter.reason("Ready") == ("False", "SourceUnavailable")
    assert "change the spec" in adapter.message("Ready")
    assert "by itself" not in adapter.message("Ready")


def test_what_an_agent_said_before_a_load_ended_says_nothing_of_it() -> None:
    world = World(pods=1)
    adapter = _settled(world)
    context = world.context(adapter)
    (pod,) = context.pods
    assert pod.agent is not None
    for at, calls in ((START, 0), (world.now + 1, 1)):
        earlier = replace(pod, agent=replace(pod.agent, loaded={}, at=at))
        assert len(plan(adapter.item, replace(context, pods=(earlier,))).actions) == calls


def test_a_name_that_the_engine_says_is_taken_is_unloaded_and_loaded_again(world: World) -> None:
    adapter = world.add()
    world.troubles = lambda call: (
        Trouble("NAME_TAKEN", "other files", True)
        if isinstance(call, Load) and call.pod == "p1" and not calls_of(adapter, Unload)
        else None
    )
    world.settle()
    assert [call.pod for call in calls_of(adapter, Unload)] == ["p1"]
    assert adapter.told.loaded == "3/3"
