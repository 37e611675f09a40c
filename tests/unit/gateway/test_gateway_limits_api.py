"""Who may ask and how much, as callers see it over HTTP and gRPC."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sluice.inference.v1 import inference_pb2
from sluice_gateway.access.preparing import Preparing, prepared
from sluice_gateway.access.tokens import IssuedTokens
from sluice_gateway.domain.access import Access, KeysFile
from sluice_gateway.domain.admission.admission import Admission
from sluice_gateway.domain.limiting.counting import LocalCounters
from sluice_gateway.domain.limiting.limiter import Limiter
from sluice_gateway.domain.model import Finish, Message, Principal, RunRequest, Usage
from sluice_gateway.gateway import Gateway
from sluice_gateway.grpc_api import GatewayServicer
from sluice_gateway.http.app import make_app
from sluice_gateway.http.state import HttpState
from sluice_gateway.settings import GatewaySettings
from sluice_servicekit.grpc_server import Servicer, serving
from support.issuer import issuing
from support.run_bench import Bench, Uncontrolled

KEY = "a-key-of-sixteen-characters"
UNUSED = cast(Any, None)
BODY = {"model": "default", "messages": [{"role": "user", "content": "How long?"}], "max_tokens": 40}


class Front:
    """A gateway over doubles of the services, with a keys file."""

    def __init__(self, max_in_flight: int = 8, **content: Any) -> None:
        self.bench = Bench()
        keys = {"keys": [{"id": "ci", "key": KEY, "tenant": "acme", **content.pop("key", {})}]}
        file = KeysFile.model_validate({**keys, **content})
        self.tokens = IssuedTokens(file.issuers)
        access = Access.from_file(file, self.tokens)
        limiter = Limiter(LocalCounters(time.time), time.time)
        executor = self.bench.executor()
        self.admission = executor.admission = Admission(max_in_flight, limiter=limiter, scopes=access.scopes)
        executor._observers = (self.admission,)
        snapshot = executor._snapshot
        self.gateway = Gateway(
            executor, cast(Any, self.bench.journal), UNUSED, UNUSED, UNUSED, snapshot, time.perf_counter
        )
        self.access = lambda: access

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        async def not_ready() -> list[str]:
            return []

        app = make_app(
            HttpState(
                self.gateway, GatewaySettings(), self.access, not_ready, UNUSED, cast(Any, Uncontrolled())
            )
        )
        transport = httpx.ASGITransport(app=Preparing(app, self.tokens.prepare), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://sluice", headers=headers, verify=False
        ) as client:
            yield client

    @asynccontextmanager
    async def grpc(self) -> AsyncIterator[gateway_pb2_grpc.GatewayServiceStub]:
        servicer = prepared(GatewayServicer(self.gateway, self.access, UNUSED, UNUSED), self.tokens.prepare)
        register = gateway_pb2_grpc.add_GatewayServiceServicer_to_server
        async with (
            serving([Servicer(register, servicer, "sluice.gateway.v1.GatewayService")]) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            yield gateway_pb2_grpc.GatewayServiceStub(channel)


ASKED = gateway_pb2.AnswerRequest(
    model="default", messages=[inference_pb2.Message(role="user", content="How long?")]
)


async def test_limits_are_on_answers_and_on_errors():
    front = Front(tenants={"acme": {"limits": {"requests_per_minute": 3, "tokens_per_minute": 1000}}})
    async with front.http() as http:
        answered = await http.post("/v1/chat/completions", json=BODY)
        assert answered.status_code == 200
        assert answered.headers["x-ratelimit-limit-requests"] == "3"
        assert answered.headers["x-ratelimit-remaining-requests"] == "2"
        assert answered.headers["x-ratelimit-limit-tokens"] == "1000"
        wrong = await http.post("/v1/chat/completions", json={**BODY, "messages": []})
        assert wrong.status_code == 400
        assert wrong.headers["x-ratelimit-remaining-requests"] == "2"
        unknown = await http.get("/v1/nothing")
        assert "x-ratelimit-limit-requests" not in unknown.headers  # nobody asked who that was


async def test_request_over_the_limit_is_refused_as_openai_does():
    front = Front(tenants={"acme": {"limits": {"requests_per_minute": 2}}})
    async with front.http() as http:
        statuses = [(await http.post("/v1/chat/completions", json=BODY)).status_code for _ in range(2)]
        refused = await http.post("/v1/chat/completions", json=BODY)
    assert statuses == [200, 200]
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in refused.headers
    assert front.bench.world.calls.count("generate") == 2
    started = [event for event in front.bench.journal.events if event.kind == "run_started"]
    assert all('"key":"ci"' in event.detail for event in started)
    assert len(started) == 3  # the refused one too


async def test_budget_that_is_spent_is_insufficient_quota():
    front = Front(key={"limits": {"tokens_per_day": 60}})
    async with front.http() as http:
        refused = await http.post("/v1/chat/completions", json={**BODY, "max_tokens": 50})
        assert refused.status_code == 200
        too_many = await http.post("/v1/chat/completions", json={**BODY, "max_tokens": 100})
    assert too_many.json()["error"]["code"] == "rate_limit_exceeded"
    assert too_many.headers["x-should-retry"] == "false"
    assert "retry-after" not in too_many.headers
    spent = Front(key={"limits": {"tokens_per_day": 60}})
    spent.bench.world.finish = Finish("stop", Usage(30, 30), "double")
    async with spent.http() as http:
        assert (await http.post("/v1/chat/completions", json=BODY)).status_code == 200
        refused = await http.post("/v1/chat/completions", json=BODY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"
    assert int(refused.headers["retry-after"]) > 0


async def test_embeddings_count_as_calls():
    front = Front(tenants={"acme": {"limits": {"requests_per_minute": 1}}})
    asked = {"model": "nope", "input": "The vault opens at nine."}
    async with front.http() as http:
        counted = await http.post("/v1/embeddings", json=asked)
        refused = await http.post("/v1/embeddings", json=asked)
    assert (counted.status_code, counted.headers["x-ratelimit-remaining-requests"]) == (404, "0")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_grpc_says_which_quota_and_when_to_try_again():
    front = Front(tenants={"acme": {"limits": {"requests_per_minute": 1}}})
    who = (("authorization", f"Bearer {KEY}"),)
    async with front.grpc() as stub:
        assert (await stub.Answer(ASKED, metadata=who)).text
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for _ in stub.AnswerStream(gateway_pb2.AnswerStreamRequest(request=ASKED), metadata=who):
                pass
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = {}
    for detail in rpc_status.from_call(raised.value).details:
        for kind in (
            error_details_pb2.QuotaFailure,
            error_details_pb2.RetryInfo,
            error_details_pb2.ErrorInfo,
        ):
            if detail.Is(kind.DESCRIPTOR):
                details[kind] = kind()
                detail.Unpack(details[kind])
    quota = details[error_details_pb2.QuotaFailure]
    assert quota.violations[0].subject == "tenant:acme/requests_per_minute"
    assert details[error_details_pb2.RetryInfo].retry_delay.ToMilliseconds() > 0
    assert details[error_details_pb2.ErrorInfo].reason == "RATE_LIMIT_EXCEEDED"


async def test_models_of_others_are_not_there():
    async with Front(key={"models": ["support"]}).http() as http:
        assert (await http.get("/v1/models")).json()["data"] == []
        assert (await http.get("/v1/models/default")).status_code == 404
        refused = await http.post("/v1/chat/completions", json=BODY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert "there is: none" in refused.json()["error"]["message"]


async def test_tokens_over_http_and_grpc():
    with issuing() as issuer:
        front = Front(issuers=[issuer.entry()])
        valid = {"authorization": f"Bearer {issuer.token()}"}
        expired = {"authorization": f"Bearer {issuer.token(exp=1)}"}
        async with front.http() as http:
            assert (await http.post("/v1/chat/completions", json=BODY, headers=valid)).status_code == 200
            refused = await http.post("/v1/chat/completions", json=BODY, headers=expired)
            missing = await http.post("/v1/chat/completions", json=BODY, headers={"authorization": ""})
        assert refused.status_code == missing.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_token"
        assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert missing.json()["error"]["code"] == "invalid_api_key"
        assert missing.headers["www-authenticate"] == "Bearer"
        # a gateway that has read no keys yet
        async with Front(issuers=[issuer.entry()]).grpc() as stub:
            assert (await stub.Answer(ASKED, metadata=tuple(valid.items()))).text
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.Answer(ASKED, metadata=tuple(expired.items()))
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_less_urgent_callers_are_refused_first_and_say_so_themselves():
    front = Front(max_in_flight=5)
    going_on = RunRequest("default", Principal("acme"), (Message("user", "How long?"),))
    held = [front.admission.admit(going_on, f"held-{number}") for number in range(4)]
    async with front.http() as http:
        for asked, headers in (
            (BODY, {"x-sluice-priority": "background"}),
            ({**BODY, "service_tier": "flex"}, {}),
        ):
            refused = await http.post("/v1/chat/completions", json=asked, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_runs")
            assert "more urgent" in refused.json()["error"]["message"]
            assert refused.headers["retry-after"]
        assert (await http.post("/v1/chat/completions", json=BODY)).status_code == 200
        wrong = await http.post("/v1/chat/completions", json=BODY, headers={"x-sluice-priority": "now"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "x-sluice-priority")
    assert len(held) == 4
