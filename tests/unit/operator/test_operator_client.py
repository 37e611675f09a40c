"""The client before an API server on a bad day."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import CONFIG_MAPS
from sluice_operator.cluster.watching import Scope
from sluice_servicekit import errors

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[KubeCluster]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as started:
        configuration = Configuration(host=str(started.make_url("")).rstrip("/"))
        async with ApiClient(configuration) as client:
            yield KubeCluster(client)


def refusing(status: int, message: str = "", **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        body = {"kind": "Status", "message": message} if message else {}
        return web.json_response(body, status=status, headers=headers)

    return answer


def streaming(text: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        await reply.write(text.encode())
        return reply

    return answer


async def changes(cluster: KubeCluster) -> list[str]:
    return [what async for what, _ in cluster.changes(Scope(CONFIG_MAPS), "5")]


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (400, "bad", errors.InvalidArgument),
        (401, "", errors.Unauthenticated),
        (403, "may not", errors.PermissionDenied),
        (409, "changed", errors.Conflict),
        (410, "too old", errors.FailedPrecondition),
        (422, "field is immutable", errors.InvalidArgument),
        (500, "failed to create typed patch object (x; y)", errors.InvalidArgument),
        (500, "etcdserver: request timed out", errors.Unavailable),
        (502, "", errors.Unavailable),
        (504, "", errors.Unavailable),
    ],
)
async def test_each_refusal_has_its_error(
    status: int, message: str, error: type[errors.ServiceError]
) -> None:
    async with server(refusing(status, message)) as cluster:
        with pytest.raises(error) as caught:
            await cluster.list(CONFIG_MAPS)
    assert type(caught.value) is error
    assert message in caught.value.message
    assert caught.value.message


@pytest.mark.parametrize(("told", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0), ("", 1.0)])
async def test_a_server_that_is_busy_says_for_how_long(told: str, seconds: float) -> None:
    async with server(refusing(429, "later", **{"Retry-After": told})) as cluster:
        with pytest.raises(errors.ResourceExhausted) as caught:
            await cluster.list(CONFIG_MAPS)
    assert caught.value.retry_after == seconds


async def test_a_stream_that_is_too_far_behind_has_to_list_again() -> None:
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    async with server(streaming(json.dumps(expired) + "\n")) as cluster:
        with pytest.raises(errors.FailedPrecondition, match="too old"):
            await changes(cluster)


async def test_a_stream_that_ends_is_no_error_and_one_that_breaks_off_is() -> None:
    whole = json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}}) + "\n"
    async with server(streaming(whole * 2)) as cluster:
        assert await changes(cluster) == ["BOOKMARK", "BOOKMARK"]
    async with server(streaming(whole + whole[:20])) as cluster:
        with pytest.raises(errors.Unavailable):
            await changes(cluster)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with ApiClient(Configuration(host="http://127.0.0.1:1")) as client:
        with pytest.raises(errors.Unavailable, match="cannot be reached"):
            await KubeCluster(client).get(CONFIG_MAPS, "default", "a")


async def test_calls_are_bounded_and_streams_are_not_counted() -> None:
    at_once, most = 0, 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal at_once, most
        if "watch" in request.query:
            return await streaming("")(request)
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return web.json_response({"items": [], "metadata": {"resourceVersion": "1"}})

    async with server(answer) as cluster:
        bounded = KubeCluster(cluster._client, concurrent=2)
        await asyncio.gather(*(bounded.list(CONFIG_MAPS) for _ in range(8)))
        async with bounded._turns, bounded._turns:
            assert await changes(bounded) == []
    assert most == 2
