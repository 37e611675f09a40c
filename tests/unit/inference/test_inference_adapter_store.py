"""The folder that vLLM reads: adapters whole or not at all, within a budget."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from sluice_inference.adapter_agent.reasons import Reason, failure, is_permanent
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.store import Store, Stored
from sluice_servicekit.errors import ServiceError
from support import lora

ONE, OTHER, THIRD = (lora.adapter(fill=fill) for fill in (1, 2, 3))
SIZE = sum(map(len, ONE.values()))


class Machine:
    """A store's folder, and what vLLM has loaded of it."""

    def __init__(self, root: Path, budget: int = 100 * SIZE, keep_seconds: float = 0.0) -> None:
        self.root = root
        self.in_use: frozenset[str] = frozenset()
        self.problem: ServiceError | None = None
        self._options = budget, keep_seconds
        self.restart()

    def restart(self) -> None:
        self.store = Store(self.root, *self._options, self._asked)

    async def _asked(self) -> frozenset[str]:
        if self.problem:
            raise self.problem
        return self.in_use

    async def put(self, files: Mapping[str, bytes], source: str = "here") -> Stored:
        with self.store.partial() as folder:
            sink = Sink(folder, self.store, SIZE)
            try:
                for name, content in files.items():
                    async with sink.file(name) as writer:
                        await writer.write(content)
                found = Stored(
                    digest=sink.digests["adapter_model.safetensors"],
                    config_digest=sink.digests["adapter_config.json"],
                    source=source,
                    origin=source,
                    rank=4,
                    base_model="example/tiny",
                    target_modules=("q_proj",),
                    size_bytes=sink.taken,
                    warnings=(),
                )
                kept = await self.store.keep(folder, found)
                if kept is found:
                    sink.gave_over()
                return kept
            finally:
                sink.give_back_all()

    @property
    def folders(self) -> set[str]:
        return {path.name for path in self.root.iterdir()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "adapters")


async def test_an_adapter_lies_whole_in_a_folder_by_its_digests(machine: Machine) -> None:
    stored = await machine.put(ONE)

    weights, config = lora.weights_digest(ONE)[7:], lora.digest(ONE["adapter_config.json"])[7:23]
    assert machine.folders == {f"{weights}-{config}"}
    folder = machine.root / stored.folder
    assert {name: (folder / name).read_bytes() for name in ONE} == ONE
    assert machine.store.used == SIZE


async def test_the_same_weights_under_another_configuration_are_another_adapter(machine: Machine) -> None:
    other = {**ONE, "adapter_config.json": lora.config(lora_alpha=16)}
    first, second = await machine.put(ONE), await machine.put(other)

    assert first.digest == second.digest
    assert first.folder != second.folder
    assert machine.store.find(first.digest, second.config_digest) == second


async def test_the_same_adapter_of_two_sources_lies_there_once(machine: Machine) -> None:
    first = await machine.put(ONE, "here")
    assert await machine.put(ONE, "there") == first
    assert machine.store.used == SIZE
    assert machine.folders == {first.folder}


async def test_digests_find_it_whatever_its_source_and_the_source_alone_if_it_is_the_same(
    machine: Machine,
) -> None:
    stored = await machine.put(ONE, "here")

    assert machine.store.find(stored.digest, stored.config_digest, "elsewhere") == stored
    assert machine.store.find("", "", "here") == stored
    assert machine.store.find("", "", "elsewhere") is None
    assert machine.store.find(stored.digest, "", "elsewhere") is None
    assert machine.store.find("sha256:" + "0" * 64, "", "here") is None


async def test_what_failed_leaves_nothing(machine: Machine) -> None:
    with pytest.raises(ServiceError) as caught:
        await machine.put({**ONE, "adapter_model.safetensors": b"x" * (SIZE + 1)})

    assert caught.value.reason == Reason.TOO_LARGE
    assert machine.folders == set()
    assert machine.store.used == 0


async def test_a_new_process_takes_over_what_is_whole_and_removes_the_rest(machine: Machine) -> None:
    whole = await machine.put(ONE)
    cut = await machine.put(OTHER)
    (machine.root / cut.folder / "adapter_model.safetensors").write_bytes(b"cut")
    nameless = lora.written(machine.root / ("0" * 64 + "-" + "0" * 16), ONE)
    lora.written(machine.root / ".partial-1234", ONE)
    lora.written(machine.root / "of-somebody-else", ONE)

    machine.restart()

    assert machine.folders == {whole.folder, "of-somebody-else"}
    assert not nameless.exists()
    assert machine.store.stored == [whole]
    assert machine.store.used == SIZE


async def test_the_one_used_longest_ago_makes_way(tmp_path: Path) -> None:
    machine = Machine(tmp_path, budget=2 * SIZE)
    first, second = await machine.put(ONE), await machine.put(OTHER)
    machine.store.use(first)
    third = await machine.put(THIRD)

    assert machine.folders == {first.folder, third.folder}
    assert machine.store.find(second.digest, second.config_digest) is None
    assert machine.store.used == 2 * SIZE


async def test_the_order_of_use_outlives_the_process(tmp_path: Path) -> None:
    machine = Machine(tmp_path, budget=2 * SIZE)
    first, second = await machine.put(ONE), await machine.put(OTHER)
    for stored, at in ((first, 2_000_000_000), (second, 1_000_000_000)):
        os.utime(tmp_path / stored.folder / "sluice.json", (at, at))
    machine.restart()

    assert machine.store.stored == [second, first]


async def test_what_is_loaded_pinned_or_was_used_just_now_stays(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "loaded", budget=SIZE)
    machine.in_use = frozenset({(await machine.put(ONE)).folder})
    with pytest.raises(ServiceError) as caught:
        await machine.put(OTHER)
    assert caught.value.reason == Reason.DISK_FULL
    assert not is_permanent(caught.value)
    assert machine.folders == machine.in_use
    assert machine.store.used == SIZE

    machine = Machine(tmp_path / "pinned", budget=SIZE)
    with machine.store.pinned(await machine.put(ONE)), pytest.raises(ServiceError, match="DISK_BUDGET"):
        await machine.put(OTHER)
    await machine.put(OTHER)

    machine = Machine(tmp_path / "recent", budget=SIZE, keep_seconds=3600)
    await machine.put(ONE)
    with pytest.raises(ServiceError, match="DISK_BUDGET"):
        await machine.put(OTHER)


async def test_nothing_makes_way_while_it_is_not_known_what_is_loaded(tmp_path: Path) -> None:
    machine = Machine(tmp_path, budget=SIZE)
    stored = await machine.put(ONE)
    machine.problem = failure(Reason.ENGINE_UNREACHABLE, "vLLM is starting")

    with pytest.raises(ServiceError, match="starting"):
        await machine.put(OTHER)
    assert machine.folders == {stored.folder}


async def test_several_at_once_stay_within_the_budget(tmp_path: Path) -> None:
    machine = Machine(tmp_path, budget=2 * SIZE)
    files = [lora.adapter(fill=fill) for fill in range(6)]
    results = await asyncio.gather(*(machine.put(each) for each in files), return_exceptions=True)

    kept = [result for result in results if isinstance(result, Stored)]
    assert all(isinstance(each, Stored | ServiceError) for each in results)
    assert kept
    assert len(machine.folders) <= 2
    assert machine.store.used == len(machine.folders) * SIZE
