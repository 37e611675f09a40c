"""Every reason: when it is said, and that it is documented."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluice_api.statuses.base import ConditionType
from sluice_api.statuses.lora_adapter import CONDITIONS, LOADED, READY
from sluice_inference.adapter_agent.reasons import Reason, failure, is_permanent
from sluice_operator.agents.protocol import Load, Resolve
from sluice_operator.agents.views import Trouble
from sluice_operator.kinds.lora_adapter.reasons import VERDICTS, is_of_the_adapter, verdict
from support.adapter_world import Adapter, World, model_server

Said = dict[str, tuple[str, str]]
"""Conditions' status and reason."""

_ONE = {"strategy": "Ordered", "replicas": 1}


def _said(adapter: Adapter) -> Said:
    return {each.type: (each.status.value, each.reason) for each in adapter.told.conditions}


def _failing(word: str, *, loads: bool, permanent: bool = False, **spec: Any) -> Adapter:
    """An adapter whose resolutions, or loads, fail."""
    world = World(pods=2)
    kind = Load if loads else Resolve
    world.troubles = lambda call: (
        Trouble(word, "the agent's words", permanent) if isinstance(call, kind) else None
    )
    return _run(world, **spec)


def _run(world: World, passes: int = 8, **spec: Any) -> Adapter:
    adapter = world.add(**spec)
    for _ in range(passes):
        world.pass_over(adapter)
        world.tick()
    return adapter


@pytest.mark.parametrize("word", [*(each.value for each in Reason), *sorted(VERDICTS)])
def test_each_word_of_the_agent_becomes_a_documented_reason(word: str) -> None:
    known = word in set(Reason)
    permanent = is_permanent(failure(Reason(word), "")) if known else False
    found = verdict(word)
    assert word in VERDICTS
    adapter = _failing(word, loads=found.condition is LOADED or word == "SLOTS_FULL", permanent=permanent)
    said = _said(adapter)
    assert said[found.condition.name] == ("False", found.reason)
    assert said["Ready"] == ("False", found.reason)
    for condition in (found.condition.name, "Ready"):
        assert "the agent's words" in adapter.message(condition)
        assert found.condition.reasons[found.reason] in adapter.message(condition)


def test_a_word_of_a_newer_agent_is_a_failed_load() -> None:
    adapter = _failing("SOMETHING_NEW", loads=True)
    assert _said(adapter)["Loaded"] == ("False", "LoadFailed")
    assert "the agent's words" in adapter.message("Ready")


def test_trouble_that_passes_is_asked_of_other_pods_too() -> None:
    assert not is_of_the_adapter("SOURCE_UNAVAILABLE")
    assert not is_of_the_adapter("ENGINE_REFUSED")
    assert is_of_the_adapter("DIGEST_MISMATCH")
    assert is_of_the_adapter("RANK_TOO_HIGH")


def _server(world: World, **spec: Any) -> Adapter:
    world.server = model_server(**spec)
    return _run(world)


def _retired(world: World) -> Adapter:
    world.retired_by = "trial"
    return _run(world)


def _without_server() -> Adapter:
    world = World()
    world.server = None
    return _run(world)


def _conflict() -> Adapter:
    world = World()
    world.add()
    return _run(world, name="other", modelName="fr")


def _unready(**fields: bool) -> Adapter:
    world = World(pods=1)
    for pod in world.pods.values():
        for name, value in fields.items():
            setattr(pod, name, value)
    return _run(world)


def _later(change: Callable[[World, Adapter], None], pods: int = 3, **spec: Any) -> Adapter:
    world = World(pods=pods)
    adapter = world.add(**spec)
    world.settle()
    change(world, adapter)
    world.now += 5
    world.pass_over(adapter)
    return adapter


def _break(pod: str) -> Callable[[World, Adapter], None]:
    def change(world: World, adapter: Adapter) -> None:
        world.restart(world.pods[pod])
        world.pods[pod].engine_reachable = False

    return change


def _silence(world: World, adapter: Adapter) -> None:
    for pod in world.pods.values():
        pod.reachable = False


def _unready_later(world: World, adapter: Adapter) -> None:
    for pod in world.pods.values():
        pod.ready = False


def _revise_badly(world: World, adapter: Adapter) -> None:
    world.troubles = lambda call: Trouble("RANK_TOO_HIGH", "rank 64", True)
    adapter.revise("r2")
    world.settle()


def _full(**spec: Any) -> Adapter:
    world = World(pods=1, slots=1)
    world.add("en")
    world.settle()
    return _run(world, **spec)


def _deleting(later: float) -> Adapter:
    world = World()
    adapter = world.add(deletion={"drain": "10s", "timeout": "60s"})
    world.settle()
    world.leave(adapter)
    world.pods["p1"].reachable = False
    for _ in range(20):
        world.tick(later)
        if adapter.uid not in world.adapters:
            break
        world.leave(adapter)
    return adapter


_BLOCKED = ("SourceResolved", "Compatible", "Placed", "Loaded", "Routed", "Ready")


def _blocked(reason: str, *, ready: bool = False) -> Said:
    end = "True" if ready else "False"
    statuses = ("Unknown", "Unknown", end, "Unknown", end, end)
    return {name: (status, reason) for name, status in zip(_BLOCKED, statuses, strict=True)}


#: By what it is called: how it comes about, and what is said then.
_SCENES: dict[str, tuple[Callable[[], Adapter], Said]] = {
    "ModelServerNotFound": (_without_server, _blocked("ModelServerNotFound")),
    "AliasConflict": (_conflict, _blocked("AliasConflict")),
    "AliasIsBaseModel": (lambda: _run(World(), modelName="base"), _blocked("AliasIsBaseModel")),
    "Extractive": (lambda: _server(World(), extractive={}), _blocked("Extractive")),
    "ServedElsewhere": (
        lambda: _server(World(pods=0), external={"urls": ["http://llm/v1"]}),
        _blocked("ServedElsewhere", ready=True),
    ),
    "Retired": (lambda: _retired(World()), _blocked("Retired")),
    "LoraDisabled": (lambda: _server(World(), vllm={"image": "vllm"}), _blocked("LoraDisabled")),
    "Ready": (
        lambda: _run(World()),
        {
            "SourceResolved": ("True", "Resolved"),
            "Compatible": ("True", "Compatible"),
            "Placed": ("True", "Placed"),
            "Loaded": ("True", "AllLoaded"),
            "Routed": ("True", "InRotation"),
            "Ready": ("True", "Ready"),
        },
    ),
    "Resolving": (
        lambda: _run(World(), passes=1),
        {
            "SourceResolved": ("Unknown", "Resolving"),
            "Compatible": ("Unknown", "NotChecked"),
            "Placed": ("Unknown", "Waiting"),
            "Loaded": ("False", "NotPlaced"),
            "Routed": ("False", "Excluded"),
            "Ready": ("False", "Resolving"),
        },
    ),
    "WaitingForAgent": (
        lambda: _unready(reachable=False),
        {"SourceResolved": ("Unknown", "WaitingForAgent"), "Ready": ("False", "WaitingForAgent")},
    ),
    "Fetched": (
        lambda: _failing("RANK_TOO_HIGH", loads=False, permanent=True),
        {"SourceResolved": ("True", "Fetched"), "Ready": ("False", "RankTooHigh")},
    ),
    "NoCandidates": (
        lambda: _run(World(pods=0)),
        {"Placed": ("False", "NoCandidates"), "Ready": ("False", "NoCandidates")},
    ),
    "TooFewPods": (
        lambda: _run(World(pods=2), placement={"strategy": "Spread", "replicas": 3}),
        {
            "Placed": ("False", "TooFewPods"),
            "Loaded": ("False", "PartiallyLoaded"),
            "Ready": ("True", "Ready"),
        },
    ),
    "NoFreeSlots": (_full, {"Placed": ("False", "NoFreeSlots"), "Ready": ("False", "NoFreeSlots")}),
    "Loading": (
        lambda: _run(World(), passes=2),
        {"Loaded": ("False", "Loading"), "Ready": ("False", "Loading")},
    ),
    "PartiallyLoaded": (
        lambda: _later(_break("p0")),
        {
            "Loaded": ("False", "PartiallyLoaded"),
            "Routed": ("True", "InRotation"),
            "Ready": ("True", "Ready"),
        },
    ),
    "TooFewLoaded": (
        lambda: _later(_break("p0"), placement={"minAvailable": 3}),
        {"Loaded": ("False", "PartiallyLoaded"), "Ready": ("False", "TooFewLoaded")},
    ),
    "PodsNotReady, of what is loaded": (
        lambda: _later(_unready_later),
        {
            "Loaded": ("True", "AllLoaded"),
            "Routed": ("False", "Excluded"),
            "Ready": ("False", "PodsNotReady"),
        },
    ),
    "PodsNotReady, of what is to be": (
        lambda: _later(_starting, pods=1, placement=_ONE),
        {"Loaded": ("False", "PodsNotReady"), "Ready": ("False", "PodsNotReady")},
    ),
    "EngineUnreachable": (
        lambda: _unready(engine_reachable=False),
        {"Loaded": ("False", "EngineUnreachable"), "Ready": ("False", "EngineUnreachable")},
    ),
    "AgentUnreachable, and what is loaded is not gone": (
        lambda: _later(_silence),
        {
            "Loaded": ("Unknown", "AgentUnreachable"),
            "Routed": ("True", "InRotation"),
            "Ready": ("True", "Ready"),
        },
    ),
    "MaxAttemptsReached": (
        lambda: _failing("ENGINE_FAILED", loads=True, load={"maxAttempts": 2, "backoff": "1s"}),
        {"Loaded": ("False", "MaxAttemptsReached"), "Ready": ("False", "MaxAttemptsReached")},
    ),
    "EarlierRevision": (
        lambda: _later(_revise_badly),
        {"Compatible": ("False", "RankTooHigh"), "Ready": ("True", "EarlierRevision")},
    ),
    "Deleting": (
        lambda: _deleting(1.0),
        {
            "SourceResolved": ("Unknown", "Deleting"),
            "Compatible": ("Unknown", "Deleting"),
            "Placed": ("False", "Deleting"),
            "Loaded": ("False", "Deleting"),
            "Routed": ("False", "Deleting"),
            "Ready": ("False", "Deleting"),
        },
    ),
    "UnloadTimedOut": (lambda: _deleting(5.0), {"Loaded": ("Unknown", "UnloadTimedOut")}),
}


def _starting(world: World, adapter: Adapter) -> None:
    """Its only pod gives way to another that has its agent up, but not its engine."""
    world.pods.clear()
    world.add_pod(ready=False, asked=False)


@pytest.mark.parametrize("name", _SCENES)
def test_what_is_said_of(name: str) -> None:
    make, expected = _SCENES[name]
    adapter = make()
    said = _said(adapter)
    assert {condition: said[condition] for condition in expected} == expected
    for condition in expected:
        if said[condition][0] == "False":
            assert len(adapter.message(condition)) > 20, f"{condition} does not say what to do"


def test_every_documented_reason_is_reached() -> None:
    reached = {
        (condition, reason) for _, expected in _SCENES.values() for condition, (_, reason) in expected.items()
    }
    reached |= {(found.condition.name, found.reason) for found in VERDICTS.values()}
    reached |= {("Ready", found.reason) for found in VERDICTS.values()}
    documented = {(each.name, reason) for each in CONDITIONS for reason in each.reasons}
    assert documented == reached


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_the_page_says_what_every_reason_means(condition: ConditionType) -> None:
    page = Path("docs/adapters.md").read_text()
    assert f"**`{condition.name}`**: {condition.meaning}" in page
    lacking = [
        row
        for row in (f"| `{reason}` | {text} |" for reason, text in condition.reasons.items())
        if row not in page
    ]
    assert not lacking


def test_the_summary_has_the_reasons_of_what_it_sums_up() -> None:
    for each in CONDITIONS:
        for reason, text in each.reasons.items():
            assert text.endswith((".", "`")), f"{reason} is no sentence"
            if reason in READY.reasons:
                assert READY.reasons[reason]
