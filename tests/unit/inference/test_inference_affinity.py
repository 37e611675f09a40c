"""What affinity saves, on doubles of vLLM's engine in virtual time."""

import random

import pytest
import virtual_routing

from doubles.vllm import Settings
from sluice_inference.domain.model import Message, Task

SETTINGS = Settings(max_loras=2, max_cpu_loras=4, load_seconds=0.3, slot_seconds=0.03, token_seconds=0.01)


@pytest.fixture(scope="module")
def requests() -> list[tuple[float, Task]]:
    chance, due, found = random.Random(7), 0.0, []
    for _ in range(250):
        due += chance.expovariate(6.0)
        adapter = f"a{min(9, int(chance.expovariate(0.4)))}"
        found.append((due, Task((Message("user", "?"),), (), model_name=adapter)))
    return found


def test_adapters_are_loaded_far_less_and_nobody_waits_longer(requests: list[tuple[float, Task]]):
    turns, affine = (
        virtual_routing.measured(way, requests, SETTINGS, replicas=3, adapters=10)
        for way in ("round robin", "adapter affinity")
    )
    assert turns["asked"] == affine["asked"] == 250
    assert affine["loads"]["folder"] * 3 < turns["loads"]["folder"]
    late = [sorted(each["first_piece_ms"])[-13] for each in (turns, affine)]  # 95 % are sooner
    assert late[1] < late[0]
