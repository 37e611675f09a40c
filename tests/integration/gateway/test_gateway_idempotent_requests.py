"""`Idempotency-Key` over HTTP and `request_id` over gRPC: runs over doubles, keys in a real SQLite."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio

from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sluice.inference.v1 import inference_pb2
from sluice_api.objects.answer_cache import AnswerCache, ExactCache, SemanticCache
from sluice_api.objects.pipeline import Payloads
from sluice_gateway.domain.access import Access
from sluice_gateway.domain.caching.answering import Answering
from sluice_gateway.domain.caching.answers import Answers
from sluice_gateway.domain.coalescing import Coalescer
from sluice_gateway.domain.model import Decision
from sluice_gateway.gateway import Gateway
from sluice_gateway.grpc_api import GatewayServicer
from sluice_gateway.http.app import make_app
from sluice_gateway.http.state import HttpState
from sluice_gateway.idempotency.idempotency import Idempotency
from sluice_gateway.payloads.memory import MemoryPayloads
from sluice_gateway.settings import GatewaySettings
from sluice_gateway.storage.database import Database
from sluice_servicekit.errors import Internal, Unavailable
from sluice_servicekit.grpc_server import serving
from sluice_servicekit.service import Servicer
from support.run_bench import Bench, Uncontrolled, verdict

PATH = "/v1/chat/completions"


def body(text: str = "How long?", **more: object) -> dict[str, object]:
    return {"model": "default", "messages": [{"role": "user", "content": text}], **more}


@dataclass
class Open:
    """A gateway over doubles."""

    bench: Bench
    database: Database
    payloads: MemoryPayloads = field(default_factory=MemoryPayloads)

    def __post_init__(self) -> None:
        executor, world = self.bench.executor(), self.bench.world
        answering = Answering(
            executor, lambda: self.bench.snapshot, world, Answers(1 << 20, time.monotonic), Coalescer()
        )
        journal: Any = self.bench.journal
        gateway = Gateway(
            executor,
            journal,
            world,  # type: ignore[arg-type]
            world,  # type: ignore[arg-type]
            world,  # type: ignore[arg-type]
            lambda: self.bench.snapshot,
            time.perf_counter,
            answering,
        )
        experiments: Any = None  # none is asked for
        self.idempotency = Idempotency(self.database, self.payloads, time.time)
        self.servicer = GatewayServicer(gateway, Access, experiments, Uncontrolled(), self.idempotency)

        async def ready() -> list[str]:
            return []

        self.app = make_app(
            HttpState(
                gateway, GatewaySettings(), Access, ready, experiments, Uncontrolled(), self.idempotency
            )
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1")

    async def post(
        self, content: dict[str, object] | None = None, key: str = "k", **headers: str
    ) -> httpx.Response:
        sent = {"idempotency-key": key, **headers} if key else headers
        return await self.http.post(PATH, json=content or body(), headers=sent)

    @property
    def generated(self) -> int:
        return self.bench.world.calls.count("generate")


@asynccontextmanager
async def opened(folder: Path, bench: Bench) -> AsyncIterator[Open]:
    gateway = Open(bench, Database(folder))
    yield gateway
    await gateway.http.aclose()
    await gateway.idempotency.aclose()
    gateway.database.close()


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Open]:
    async with opened(tmp_path, Bench()) as gateway:
        yield gateway


async def test_same_request_gets_the_same_response(gateway: Open) -> None:
    first = await gateway.post()
    again = await gateway.post({key: value for key, value in reversed(body().items())})
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["x-sluice-run-id"] == first.headers["x-sluice-run-id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert gateway.generated == 1
    await gateway.post(key="another")
    await gateway.post(key="")
    assert gateway.generated == 3


async def test_stream_is_given_again_as_a_stream(gateway: Open) -> None:
    first = await gateway.post(body(stream=True))
    again = await gateway.post(body(stream=True))
    assert again.content == first.content
    assert again.content.endswith(b"data: [DONE]\n\n")
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["content-type"].startswith("text/event-stream")
    assert gateway.generated == 1


async def test_requests_at_once_run_once(gateway: Open) -> None:
    gateway.bench.world.wait["generate"] = 0.1
    responses = await asyncio.gather(*(gateway.post() for _ in range(5)))
    assert len({response.content for response in responses}) == 1
    assert gateway.generated == 1


async def test_other_request_under_the_key_is_a_conflict_that_no_client_repeats(gateway: Open) -> None:
    await gateway.post()
    response = await gateway.post(body("How wide?"))
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "idempotency_key_reused"
    assert response.headers["x-should-retry"] == "false"
    assert gateway.generated == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_failure_that_may_pass_frees_the_key(gateway: Open, stream: bool) -> None:
    gateway.bench.world.fail["generate"] = [Unavailable("gone")] * 3
    failed = await gateway.post(body(stream=stream))
    assert failed.status_code == 503
    answered = await gateway.post(body(stream=stream))
    assert answered.status_code == 200
    assert "idempotency-replayed" not in answered.headers


async def test_stream_that_breaks_frees_the_key(tmp_path: Path) -> None:
    async with opened(tmp_path, Bench(streaming="window")) as gateway:  # type: ignore[arg-type]
        gateway.bench.world.fail_after_piece = Internal("broken")
        broken = await gateway.post(body(stream=True))
        assert b"error" in broken.content
        gateway.bench.world.fail_after_piece = None
        whole = await gateway.post(body(stream=True))
        assert whole.content.endswith(b"data: [DONE]\n\n")
        assert gateway.generated == 2


async def test_failure_that_would_come_again_is_given_again(gateway: Open) -> None:
    unknown = {**body(), "model": "nowhere"}
    first, again = await gateway.post(unknown), await gateway.post(unknown)
    assert (first.status_code, again.status_code) == (404, 404)
    assert again.content == first.content
    assert again.headers["x-sluice-run-id"] == first.headers["x-sluice-run-id"]
    assert again.headers["idempotency-replayed"] == "true"


async def test_block_is_given_again(gateway: Open) -> None:
    gateway.bench.world.input_verdict = verdict(Decision.BLOCK)
    first, again = await gateway.post(), await gateway.post()
    assert again.content == first.content
    assert first.json()["choices"][0]["finish_reason"] == "content_filter"


async def test_without_payloads_the_second_request_is_a_conflict_that_names_the_run(gateway: Open) -> None:
    pipeline = gateway.bench.snapshot.pipelines["default"]
    spec = pipeline.spec.model_copy(update={"payloads": Payloads.NONE})
    changed = {"default": pipeline.model_copy(update={"spec": spec})}
    gateway.bench.snapshot = gateway.bench.snapshot.model_copy(update={"pipelines": changed})
    first, again = await gateway.post(), await gateway.post()
    assert first.status_code == 200
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "payload_not_retained"
    assert again.headers["x-sluice-run-id"] == first.headers["x-sluice-run-id"]
    assert first.headers["x-sluice-run-id"] in again.json()["error"]["message"]
    assert gateway.generated == 1


async def test_response_is_kept_no_longer_than_the_pipeline_says(gateway: Open) -> None:
    kept: list[float] = []

    async def keep(*_: object, retention: float) -> str:
        kept.append(retention)
        return "reference"

    gateway.payloads.keep = keep  # type: ignore[method-assign,assignment]
    pipeline = gateway.bench.snapshot.pipelines["default"]
    spec = pipeline.spec.model_copy(update={"payload_retention": 60.0})
    changed = {"default": pipeline.model_copy(update={"spec": spec})}
    gateway.bench.snapshot = gateway.bench.snapshot.model_copy(update={"pipelines": changed})
    await gateway.post()
    await gateway.post(body(stream=True), key="stream")
    assert kept == [60.0, 60.0]


async def test_malformed_key_and_two_keys_are_refused(gateway: Open) -> None:
    response = await gateway.post(key="a key")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "Idempotency-Key"
    twice = await gateway.http.post(
        PATH, json=body(), headers=[("idempotency-key", "a"), ("idempotency-key", "b")]
    )
    assert twice.status_code == 400
    assert gateway.generated == 0


async def test_body_that_is_wrong_takes_no_key(gateway: Open) -> None:
    assert (await gateway.post({"model": "default", "messages": []})).status_code == 400
    assert (await gateway.post()).status_code == 200


async def test_cache_is_named_in_header_and_body(tmp_path: Path) -> None:
    cache = AnswerCache(exact=ExactCache(), semantic=SemanticCache(), sampled=True)
    async with opened(tmp_path, Bench(cache=cache)) as gateway:
        asked = body("How long does kiln 3 take?")
        first = await gateway.post(asked, key="")
        hit = await gateway.post(asked, key="")
        streamed = await gateway.post({**asked, "stream": True}, key="")
        near = await gateway.post(body("Kiln 3, how long does it take?"), key="")
        bypass = await gateway.post(asked, key="", **{"cache-control": "no-cache"})
        words = [each.headers["x-sluice-cache"] for each in (first, hit, streamed, near, bypass)]
        assert words == ["miss", "hit", "hit", "semantic", "bypass"]
        assert first.json()["sluice"]["cache"] == {"decision": "miss"}
        said = hit.json()["sluice"]["cache"]
        assert (said["decision"], said["kind"], said["run_id"]) == (
            "hit",
            "exact",
            first.headers["x-sluice-run-id"],
        )
        assert near.json()["sluice"]["cache"]["similarity"] == 1.0
        assert near.json()["choices"] == first.json()["choices"]
        last = streamed.content.split(b"\n\n")[-3].removeprefix(b"data: ")
        assert json.loads(last)["sluice"]["cache"]["kind"] == "exact"
        text = "".join(
            json.loads(frame.removeprefix(b"data: "))["choices"][0]["delta"].get("content", "")
            for frame in streamed.content.split(b"\n\n")[:-2]
        )
        assert text == first.json()["choices"][0]["message"]["content"]
        assert gateway.generated == 2


@asynccontextmanager
async def stub(gateway: Open) -> AsyncIterator[Any]:
    register = gateway_pb2_grpc.add_GatewayServiceServicer_to_server
    servicer = Servicer(register, gateway.servicer, "sluice.gateway.v1.GatewayService")
    async with serving([servicer]) as address, grpc.aio.insecure_channel(address) as channel:
        yield gateway_pb2_grpc.GatewayServiceStub(channel)


def question(
    text: str = "How long?", request_id: str = "k", model: str = "default"
) -> gateway_pb2.AnswerRequest:
    message = inference_pb2.Message(role="user", content=text)
    return gateway_pb2.AnswerRequest(model=model, messages=[message], request_id=request_id)


async def test_request_id_of_a_call(gateway: Open) -> None:
    async with stub(gateway) as calls:
        first = await calls.Answer(question())
        replay = calls.Answer(question())
        assert await replay == first
        assert ("idempotency-replayed", "true") in list(await replay.initial_metadata())
        with pytest.raises(grpc.aio.AioRpcError) as reused:
            await calls.Answer(question("How wide?"))
        assert reused.value.code() is grpc.StatusCode.ABORTED
        with pytest.raises(grpc.aio.AioRpcError) as malformed:
            await calls.Answer(question(request_id="a b"))
        assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert gateway.generated == 1


async def test_request_id_of_a_streamed_call(gateway: Open) -> None:
    async with stub(gateway) as calls:
        request = gateway_pb2.AnswerStreamRequest(request=question())
        first = [message async for message in calls.AnswerStream(request)]
        assert [message async for message in calls.AnswerStream(request)] == first
        assert [message.WhichOneof("event") for message in first] == ["delta", "answer"]
        assert gateway.generated == 1


async def test_calls_that_fail(gateway: Open) -> None:
    async with stub(gateway) as calls:
        gateway.bench.world.fail["generate"] = [Unavailable("gone")] * 3
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await calls.Answer(question(model="nowhere", request_id="unknown"))
            assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await calls.Answer(question())
        assert gone.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await calls.Answer(question())).text
