"""The service over gRPC: what a snapshot says, what a caller is told, and how it ends."""

import asyncio

import grpc
import pytest
from prometheus_client import REGISTRY

from doubles.vllm import Settings
from doubles.vllm import serving as serving_vllm
from sluice.common.v1 import common_pb2
from sluice.inference.v1 import inference_pb2, inference_pb2_grpc
from sluice_api.objects.model_server import ModelServerSpec, Routing, Vllm
from sluice_api.snapshot import Endpoint, Snapshot
from sluice_inference.service import build
from sluice_servicekit.grpc_server import bind_server
from sluice_servicekit.service import ServiceContext
from sluice_servicekit.settings import ServiceSettings
from sluice_servicekit.snapshots import Snapshots

REQUEST = inference_pb2.GenerateRequest(
    principal=common_pb2.Principal(tenant="acme"),
    model_server="tiny",
    messages=[inference_pb2.Message(role="user", content="How long?")],
    passages=[common_pb2.Passage(document_id="a.md", text="After 40 hours.")],
    priority=inference_pb2.PRIORITY_BATCH,
)
REWRITE = inference_pb2.RewriteRequest(
    model_server="tiny",
    turns=[inference_pb2.Message(role="user", content="How long?")],
    max_tokens=4,
    priority=inference_pb2.PRIORITY_BACKGROUND,
)


def _queued() -> float | None:
    labels = {"model_server": "tiny", "priority": "batch"}
    return REGISTRY.get_sample_value("sluice_inference_queued", labels)


async def test_stream_ends_within_the_grace_and_tells_its_replica():
    snapshots = Snapshots()
    pods = ModelServerSpec(
        base_model="tiny",
        vllm=Vllm(image="vllm"),
        routing=Routing(max_in_flight=1, send_priority=True),
    )
    async with (
        serving_vllm(1, Settings(token_seconds=0.05, answer_tokens=20)) as (server,),
        build(ServiceContext(ServiceSettings(), snapshots)) as servicers,
    ):
        endpoints = {"tiny": (Endpoint(name="tiny-0", url=server.v1),)}
        snapshot = Snapshot(model_servers={"tiny": pods}, endpoints=endpoints)
        assert await snapshots.take(snapshot.digest, snapshot.content) == ""
        bound = await bind_server(servicers, "127.0.0.1:0")
        await bound.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{bound.port}") as channel:
            stub = inference_pb2_grpc.InferenceServiceStub(channel)
            await stub.Rewrite(REWRITE)
            stream = aiter(stub.Generate(REQUEST))
            responses, waits = [await anext(stream)], stub.Generate(REQUEST)
            async with asyncio.timeout(20):
                while _queued() != 1:  # noqa: ASYNC110 - the service's doing
                    await asyncio.sleep(0.01)
            draining = asyncio.create_task(bound.drain(30))
            await asyncio.sleep(0)
            responses += [response async for response in stream]
            queued = [response async for response in waits][-1].finish
            await draining
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Generate(REQUEST).read()
    finish = responses[-1].finish
    assert (finish.replica, finish.usage.completion_tokens, finish.queued_seconds) == ("tiny-0", 20, 0.0)
    assert queued.replica == "tiny-0"
    assert queued.queued_seconds > 0.0
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert [request.body["priority"] for request in server.requests] == [2, 1, 1]
