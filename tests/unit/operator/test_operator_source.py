"""What of the mirror is the snapshot's."""

from typing import Any

from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.base import API_VERSION, SluiceObject
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.tolerant import Current, Key, settle
from sluice_operator.cluster.resources import resource_of
from sluice_operator.snapshots.source import Source
from support.fake_cluster import FakeCluster

ADAPTER = {
    "modelServerRef": "server",
    "modelName": "fine",
    "revision": "1",
    "source": {"http": {"url": "https://example.org/a.tar"}},
}


class World:
    """A cluster, and a source that reads its mirror."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.source = Source(self.cluster.mirror)

    def put(self, model: type[SluiceObject], name: str, spec: Any, **more: Any) -> None:
        metadata = {"name": name, "namespace": "default", **more.pop("metadata", {})}
        manifest = {"apiVersion": API_VERSION, "kind": model.KIND, "metadata": metadata, "spec": spec, **more}
        self.cluster.create(resource_of(model), manifest)

    def current(self, model: type[SluiceObject], name: str) -> Current:
        return self.source.current[Key(model.KIND, "default", name)]


def test_what_does_not_matter_is_no_change() -> None:
    world = World()
    world.put(LoRAAdapter, "fine", ADAPTER)
    assert world.source.changed()
    assert not world.source.changed()

    world.put(
        LoRAAdapter,
        "fine",
        ADAPTER,
        status={"loaded": "3/5", "conditions": [{"type": "Loaded", "status": "True"}]},
    )
    world.put(LoRAAdapter, "fine", ADAPTER, metadata={"annotations": {"a": "b"}})

    assert not world.source.changed()


def test_what_matters_of_a_status_is() -> None:
    world = World()
    world.put(LoRAAdapter, "fine", ADAPTER)
    world.put(ModelServer, "server", {"baseModel": "base", "vllm": {"image": "vllm"}})
    assert world.source.changed()

    for model, name, spec, status in (
        (LoRAAdapter, "fine", ADAPTER, {"engineName": "fine--1"}),
        (
            LoRAAdapter,
            "fine",
            ADAPTER,
            {"engineName": "fine--1", "conditions": [{"type": "Ready", "status": "True"}]},
        ),
        (
            ModelServer,
            "server",
            {"baseModel": "base", "vllm": {"image": "vllm"}},
            {"endpoints": [{"name": "pod", "url": "http://10.0.0.1:8000/v1"}]},
        ),
    ):
        world.put(model, name, spec, status=status)
        assert world.source.changed(), status


def test_what_does_not_parse_is_there_with_its_problems() -> None:
    world = World()
    world.put(LoRAAdapter, "fine", {**ADAPTER, "source": {}})
    assert world.source.changed()

    current = world.current(LoRAAdapter, "fine")

    assert current.object is None
    assert [each.field for each in current.problems] == ["spec.source"]


def test_an_edit_that_takes_the_promoted_arm_away_is_no_mistake() -> None:
    def arms(*adapters: str) -> dict[str, Any]:
        treatments = [
            {"name": each, "role": "Treatment", "adapterRef": each, "weight": 10} for each in adapters
        ]
        control = {"name": "control", "role": "Control", "weight": 100 - 10 * len(adapters)}
        return {"modelServerRef": "server", "modelName": "base", "arms": [control, *treatments]}

    world = World()
    world.put(ModelServer, "server", {"baseModel": "base", "vllm": {"image": "vllm"}})
    for name in ("one", "two"):
        world.put(LoRAAdapter, name, {**ADAPTER, "modelName": name})
    told = {"promoted": "two", "observedGeneration": 1}
    world.put(AdapterExperiment, "split", arms("one", "two"), status=told)
    world.source.changed()
    before = settle(world.source.current, {})
    assert before.snapshot.experiments["split"].promoted == "two"

    world.put(AdapterExperiment, "split", arms("one"), status=told)
    world.source.changed()
    after = settle(world.source.current, before.good)

    assert list(after.snapshot.experiments["split"].models) == ["control", "one"]
    assert after.snapshot.experiments["split"].promoted == ""
