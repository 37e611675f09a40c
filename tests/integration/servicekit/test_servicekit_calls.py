"""What servicekit promises about a call, over a real server and a real channel."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sluice.inference.v1 import inference_pb2, inference_pb2_grpc
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice_servicekit import context, deadlines, errors
from sluice_servicekit.channels import open_channel
from sluice_servicekit.grpc_server import Servicer, bind_server, serving


class Reranker(reranker_pb2_grpc.RerankerServiceServicer):
    """Does whatever the test gives it to do."""

    def __init__(self, work: Any) -> None:
        self._work = work

    async def Rerank(self, request: Any, context: Any) -> reranker_pb2.RerankResponse:
        return await self._work(request)


class Inference(inference_pb2_grpc.InferenceServiceServicer):
    """Streams, then fails; notes when it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[inference_pb2.GenerateResponse]:
        try:
            yield inference_pb2.GenerateResponse(delta="a")
            if request.model_name == "endless":
                await asyncio.sleep(60)
            raise errors.Unavailable("engine gone", reason="UPSTREAM_TRUNCATED", retry_after=1.5)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise


def reranker(work: Any) -> Servicer:
    return Servicer(
        reranker_pb2_grpc.add_RerankerServiceServicer_to_server,
        Reranker(work),
        "sluice.reranker.v1.RerankerService",
    )


def inference(implementation: Inference) -> Servicer:
    return Servicer(
        inference_pb2_grpc.add_InferenceServiceServicer_to_server,
        implementation,
        "sluice.inference.v1.InferenceService",
    )


async def call(address: str, **options: Any) -> reranker_pb2.RerankResponse:
    async with open_channel(address, peer="reranker") as channel:
        stub = reranker_pb2_grpc.RerankerServiceStub(channel)
        return await stub.Rerank(reranker_pb2.RerankRequest(query="q"), **options)


async def test_a_domain_error_arrives_as_itself() -> None:
    async def work(_: Any) -> None:
        raise errors.InvalidArgument("top_k is 0", field="top_k", metadata={"limit": "1000"})

    async with serving([reranker(work)]) as address:
        with pytest.raises(errors.InvalidArgument) as caught:
            await call(address)

    assert caught.value.message == "top_k is 0"
    assert caught.value.field == "top_k"
    assert caught.value.reason == "INVALID_ARGUMENT"
    assert caught.value.metadata == {"limit": "1000"}


async def test_an_unforeseen_error_does_not_leak_its_text() -> None:
    async def work(_: Any) -> None:
        raise RuntimeError("the secret is 1234")

    async with serving([reranker(work)]) as address:
        with pytest.raises(errors.Internal) as caught:
            await call(address)

    assert "1234" not in caught.value.message
    assert "RuntimeError" in caught.value.message


async def test_a_dead_service_is_unavailable_and_named() -> None:
    async with serving([]) as address:
        pass

    with pytest.raises(errors.Unavailable, match="reranker"):
        await call(address, timeout=5)


async def test_the_deadline_shrinks_over_every_hop() -> None:
    seen: list[float | None] = []

    async def last(_: Any) -> reranker_pb2.RerankResponse:
        seen.append(deadlines.remaining())
        return reranker_pb2.RerankResponse()

    async with serving([reranker(last)]) as last_address:

        async def first(_: Any) -> reranker_pb2.RerankResponse:
            seen.append(deadlines.remaining())
            await asyncio.sleep(0.3)
            return await call(last_address)

        async with serving([reranker(first)]) as first_address:
            with deadlines.limit(5.0):
                await call(first_address)

    assert seen[0] is not None
    assert seen[1] is not None
    # gRPC rounds a timeout up on its way, by up to a hundredth.
    assert 5.1 >= seen[0] > seen[1] + 0.2


async def test_time_running_out_is_a_deadline_error() -> None:
    async def work(_: Any) -> reranker_pb2.RerankResponse:
        await asyncio.sleep(30)
        return reranker_pb2.RerankResponse()

    async with serving([reranker(work)]) as address:
        with deadlines.limit(0.2), pytest.raises(errors.DeadlineExceeded):
            await call(address)


async def test_run_and_tenant_travel_with_the_call() -> None:
    seen: list[tuple[str, str]] = []

    async def work(_: Any) -> reranker_pb2.RerankResponse:
        seen.append((context.run_id.get(), context.tenant.get()))
        return reranker_pb2.RerankResponse()

    async with serving([reranker(work)]) as address:
        with context.bound("run-1", "acme"):
            await call(address)

    assert seen == [("run-1", "acme")]


async def test_an_error_in_a_stream_arrives_after_what_came_before_it() -> None:
    async with serving([inference(Inference())]) as address, open_channel(address) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        responses = aiter(stub.Generate(inference_pb2.GenerateRequest()))
        deltas = [(await anext(responses)).delta]
        with pytest.raises(errors.Unavailable) as caught:
            await anext(responses)

    assert deltas == ["a"]
    assert caught.value.reason == "UPSTREAM_TRUNCATED"
    assert caught.value.retry_after == pytest.approx(1.5)


async def test_a_reader_that_stops_cancels_the_other_side() -> None:
    implementation = Inference()

    async with serving([inference(implementation)]) as address, open_channel(address) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        responses = aiter(stub.Generate(inference_pb2.GenerateRequest(model_name="endless")))
        await anext(responses)
        await responses.aclose()

        await asyncio.wait_for(implementation.cancelled.wait(), 10)


async def test_health_follows_the_drain() -> None:
    server = await bind_server([], "127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        before = await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=5)
        await server.set_serving(serving=False)
        after = await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=5)
    await server.drain(0)

    assert before.status == health_pb2.HealthCheckResponse.SERVING
    assert after.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_taken_port_is_named() -> None:
    async with serving([]) as address:
        with pytest.raises(errors.FailedPrecondition, match=address):
            await bind_server([], address)


TWO_HOPS = """
import asyncio, sys
from pathlib import Path
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice_servicekit import tracing
from sluice_servicekit.channels import open_channel
from sluice_servicekit.grpc_server import Servicer, serving

tracing.set_up("test", "one", "file:" + sys.argv[1])

async def call(address):
    async with open_channel(address) as channel:
        return await reranker_pb2_grpc.RerankerServiceStub(channel).Rerank(reranker_pb2.RerankRequest())

class Hop(reranker_pb2_grpc.RerankerServiceServicer):
    def __init__(self, following=None): self.following = following
    async def Rerank(self, request, context):
        return await call(self.following) if self.following else reranker_pb2.RerankResponse()

def servicer(hop):
    add = reranker_pb2_grpc.add_RerankerServiceServicer_to_server
    return Servicer(add, hop, "sluice.reranker.v1.RerankerService")

async def main():
    async with serving([servicer(Hop())]) as last, serving([servicer(Hop(last))]) as first:
        with tracing.span("root"):
            await call(first)

asyncio.run(main())
tracing.shut_down()
"""


def test_one_trace_spans_all_hops(tmp_path: Path) -> None:
    # A process of its own, since a tracer provider can be set only once in one.
    path = tmp_path / "spans.jsonl"
    subprocess.run(
        [sys.executable, "-c", TWO_HOPS, str(path)],
        check=True,
        timeout=60,
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
    )

    spans = [json.loads(line) for line in path.read_text().splitlines()]

    assert [span["name"] for span in spans].count("sluice.reranker.v1.RerankerService/Rerank") == 2
    assert len({span["context"]["trace_id"] for span in spans}) == 1
