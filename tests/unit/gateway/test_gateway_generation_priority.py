"""How urgent a run is, as inference is told."""

from dataclasses import replace

import pytest

from sluice.inference.v1 import inference_pb2
from sluice_gateway import generation
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.model import Message, Principal, RunRequest
from support.run_bench import Bench


@pytest.mark.parametrize(
    ("asked", "allowed", "told"),
    [
        (Priority.INTERACTIVE, Priority.INTERACTIVE, inference_pb2.PRIORITY_INTERACTIVE),
        (Priority.BATCH, Priority.INTERACTIVE, inference_pb2.PRIORITY_BATCH),
        (Priority.BATCH, Priority.BACKGROUND, inference_pb2.PRIORITY_BACKGROUND),
    ],
)
async def test_least_urgent_of_what_is_asked_and_allowed_is_told(
    asked: Priority, allowed: Priority, told: inference_pb2.Priority
):
    bench = Bench()
    principal = Principal("acme", priority=allowed)
    request = RunRequest("default", principal, (Message("user", "How long?"),), priority=asked)
    async for _ in bench.executor().admit(request).events():
        pass
    assert generation.request(replace(bench.world.prompt, passages=(), vectors=None)).priority == told
