"""An adapter that an experiment has done with."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_operator.agents.protocol import Call, Ended, Load, Running, Unload
from sluice_operator.agents.views import PodView
from sluice_operator.cluster.resources import resource_of
from sluice_operator.kinds.lora_adapter.kind import LoRAAdapterKind
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.reconciler import parse
from support import experiment_objects as objects
from support.adapter_world import Adapter, World


class Agents:
    """There are none."""

    def pods(self, namespace: str, model_server: str) -> Sequence[PodView]:
        return ()

    def start(self, asker: str, call: Call) -> bool:
        raise AssertionError("nothing is to be started")

    def running(self, asker: str) -> Sequence[Running]:
        return ()

    def take_ended(self, asker: str) -> Sequence[Ended]:
        return ()

    def forget(self, asker: str) -> None:
        return

    def engine_names_in_use(self, namespace: str, model_server: str) -> Mapping[str, frozenset[str]]:
        return {}


ADAPTERS, EXPERIMENTS = resource_of(LoRAAdapter), resource_of(AdapterExperiment)


def _conditions(adapter: Adapter) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status.value, each.reason) for each in adapter.told.conditions}


def test_it_is_drained_and_unloaded_and_loaded_again_when_that_is_over() -> None:
    world = World(pods=2, slots=2)
    adapter = world.add("fr", deletion={"drain": "5s", "timeout": "60s"})
    world.settle()
    assert all(world.loaded().values())
    assert _conditions(adapter)["Ready"] == ("True", "Ready")

    world.retired_by = "trial"
    adapter.starts.clear()
    world.pass_over(adapter)
    assert _conditions(adapter)["Ready"] == ("False", "Retired")
    assert adapter.starts == []  # what is under way may end first
    world.settle()
    assert not any(world.loaded().values())
    assert {type(call) for call in adapter.starts} == {Unload}
    assert adapter.told.loaded == "0/0"

    world.retired_by = ""
    world.settle()
    assert all(world.loaded().values())
    assert any(isinstance(call, Load) for call in adapter.starts)
    assert _conditions(adapter)["Ready"] == ("True", "Ready")


def _manifest(manifest: dict[str, Any], version: int, **metadata: Any) -> dict[str, Any]:
    name = manifest["metadata"]["name"]
    more = {"uid": f"uid-{name}", "resourceVersion": str(version), **metadata}
    return {**manifest, "metadata": {**manifest["metadata"], **more}}


def test_who_is_retired_and_who_is_no_more_hears_of_it() -> None:
    mirror = Mirror()
    kind = LoRAAdapterKind(mirror, Agents(), lambda: 0.0)
    for name in ("a", "b", "c"):
        mirror.put(ADAPTERS, _manifest(objects.adapter(name), 1))

    def told(version: int, retired: list[str], **metadata: Any) -> list[str]:
        found = _manifest(objects.experiment() | {"status": {"retired": retired}}, version, **metadata)
        mirror.put(EXPERIMENTS, found)
        return list(kind.concerned(found, EXPERIMENTS, mirror))

    def by(name: str) -> str:
        item = parse(LoRAAdapter, mirror.get(ADAPTERS, "default", name) or {})
        return asyncio.run(kind.gather(item)).retired_by

    assert told(1, []) == []
    assert told(2, ["a", "b"]) == ["uid-a", "uid-b"]
    assert told(3, ["a", "b"]) == []
    assert [by(name) for name in ("a", "b", "c")] == ["trial", "trial", ""]
    assert told(4, ["b", "c"]) == ["uid-a", "uid-c"]
    assert told(5, ["b", "c"], deletionTimestamp="2026-01-01T00:00:00Z") == ["uid-b", "uid-c"]
    assert by("b") == ""
    assert told(6, ["b"]) == ["uid-b"]
    gone = mirror.drop(EXPERIMENTS, "uid-trial")
    assert gone is not None
    assert list(kind.concerned(gone, EXPERIMENTS, mirror)) == ["uid-b"]
