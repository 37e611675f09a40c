"""A GET with its redirects: who asks is told to the first server alone, and what was signed stays as it was written."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ThreadedResolver, web

from sluice_servicekit.fetching.following import opened
from sluice_servicekit.fetching.policy import Policy

ASKER = {"authorization": "Bearer secret", "accept": "*/*"}


class Server:
    def __init__(self) -> None:
        self.port = 0
        self.leads: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.raw_path, request.headers.get("authorization")))
        if location := self.leads.get(request.path):
            return web.Response(status=307, headers={"location": location})
        return web.Response(text="here")


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listening).start()
        server.port = listening.getsockname()[1]
        yield server
    finally:
        await runner.cleanup()


async def body(url: str, *ports: int) -> str:
    policy = Policy.parse("127.0.0.1", ",".join(map(str, ports)))
    async with opened(policy, ThreadedResolver(), policy.target(url), ASKER) as response:
        return await response.text()


async def test_who_asks_is_told_to_the_same_origin_and_to_no_other() -> None:
    async with serving() as first, serving() as second:
        first.leads = {"/start": "/further", "/further": second.url("/end")}
        assert await body(first.url("/start"), first.port, second.port) == "here"

    assert first.asked == [("/start", "Bearer secret"), ("/further", "Bearer secret")]
    assert second.asked == [("/end", None)]


@pytest.mark.parametrize(
    "path", ["/a%2Fb/c%20d?sig=%2Fx%3D%2B&when=a%3Ab", "/a+b?q=1%2C2+3", "/~a;b=1/(c)?x=%7E"]
)
async def test_path_and_query_are_sent_as_they_are_written(path: str) -> None:
    async with serving() as server:
        server.leads = {"/start": server.url(path)}
        await body(server.url(path), server.port)
        await body(server.url("/start"), server.port)

    assert [asked for asked, _ in server.asked] == [path, "/start", path]
