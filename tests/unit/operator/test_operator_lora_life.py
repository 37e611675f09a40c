"""An adapter's life in a small world of pods and agents."""

from tests.support.adapter_world import World, calls_of, version

from sluice_operator.agents.protocol import Resolve
from sluice_operator.kinds.lora_adapter.naming import engine_name

R1, R2 = engine_name("fr", version("r1")), engine_name("fr", version("r2"))


def test_one_pod_resolves_and_all_load() -> None:
    world = World(pods=3)
    adapter = world.add()
    world.pass_over(adapter)
    assert adapter.reason("SourceResolved") == ("Unknown", "Resolving")
    assert len(adapter.starts) == 1
    world.settle()
    assert set(world.loaded().values()) == {frozenset({R1})}
    told = adapter.told
    assert (told.engine_name, told.revision, told.loaded) == (R1, "r1", "3/3")
    assert {each.status.value for each in told.conditions} == {"True"}
    assert [call.digest for call in calls_of(adapter, Resolve)] == ["", *[version("r1").digest] * 2]
