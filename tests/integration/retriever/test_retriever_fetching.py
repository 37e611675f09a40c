"""Fetching from a server that tries every trick; names resolve as each test says, and nothing leaves the machine."""

import asyncio
import contextlib
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ThreadedResolver, web
from aiohttp.abc import AbstractResolver, ResolveResult

from sluice_retriever.fetching.fetcher import Fetcher
from sluice_servicekit.fetching.failures import FetchFailed, NotAllowed
from sluice_servicekit.fetching.policy import Policy

#: The server's address, which tests allow; everything else of the machine is inside.
OPEN, INSIDE = "127.0.0.2", "127.0.0.1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Names(AbstractResolver):
    """Gives each name's answers in turn, the last one again and again."""

    answers: dict[str, list[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError("no such name")
        turns = self.answers[host]
        found = turns.pop(0) if len(turns) > 1 else turns[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass


@dataclass
class Served:
    """A server, and what it was asked for."""

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Host header and path."""
    headers: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str, host: str = OPEN) -> str:
        return f"http://{host}:{self.port}{path}"

    def fetcher(
        self, names: AbstractResolver | None = None, seconds: float = 5.0, allowed: str = OPEN
    ) -> Fetcher:
        policy = Policy.parse(allowed, str(self.port))
        return Fetcher(policy, names or Names({}), seconds, 4)


@asynccontextmanager
async def serving(handle: Handler, address: str = OPEN) -> AsyncIterator[Served]:
    """A server on one address for the length of the block."""
    served = Served(0)

    async def noting(request: web.Request) -> web.StreamResponse:
        served.asked.append((request.host, request.path))
        served.headers.append(dict(request.headers))
        return await handle(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", noting)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listening = socket.create_server((address, 0))
    try:
        await web.SockSite(runner, listening).start()
        served.port = listening.getsockname()[1]
        yield served
    finally:
        await runner.cleanup()


async def text(_: web.Request) -> web.StreamResponse:
    return web.Response(text="Otters hold hands.")


def redirecting(location: str, status: int = 302) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/start":
            return web.Response(status=status, headers={"location": location})
        return await text(request)

    return handle


async def test_a_page_comes_with_its_kind_and_nothing_of_ours_goes_along() -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        response = web.Response(text="<p>Otters.</p>", content_type="text/html")
        response.set_cookie("seen", "1")
        return response

    async with serving(page) as served:
        names = Names({"docs.example": [[OPEN]]})
        fetcher = served.fetcher(names)
        fetched = await fetcher.fetch(served.url("/page?x=1", "docs.example"))
        await fetcher.fetch(served.url("/page", "docs.example"))

    assert fetched.content.removeprefix(b"\xef\xbb\xbf") == b"<p>Otters.</p>"
    assert fetched.media_type == "text/html"
    assert served.asked[0] == (f"docs.example:{served.port}", "/page")
    assert served.headers[1].keys() <= {"Host", "Connection", "Accept", "Accept-Encoding", "User-Agent"}
    assert names.asked == ["docs.example", "docs.example"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_where_they_stay_outside(status: int) -> None:
    async with serving(redirecting("/end", status)) as served:
        fetched = await served.fetcher().fetch(served.url("/start"))

    assert fetched.content.endswith(b"Otters hold hands.")
    assert [path for _, path in served.asked] == ["/start", "/end"]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/secret",
        "//127.0.0.1:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://2130706433:{port}/secret",
        "http://0x7f000001:{port}/secret",
        "http://0177.0.0.1:{port}/secret",
        "http://127.1:{port}/secret",
        "http://0:{port}/secret",
        "http://localhost:{port}/secret",
        "http://①②⑦.⓪.⓪.①:{port}/secret",
        "http://127。0。0。1:{port}/secret",
        "http://{open}:{port}@127.0.0.1:{port}/secret",
        "http://169.254.169.254:{port}/latest/meta-data/",
        "http://{open}:22/secret",
        "file:///etc/passwd",
    ],
)
async def test_no_redirect_leads_inside(location: str) -> None:
    async with serving(text, INSIDE) as inside:
        # Both servers on one port, so that only the address tells them apart.
        where = location.format(port=inside.port, open=OPEN)
        app = web.Application()

        async def send_on(_: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"location": where})

        app.router.add_get("/start", send_on)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, OPEN, inside.port).start()
        try:
            # The machine's own resolver: it reads numbers in every base, and needs no network for them.
            with pytest.raises(NotAllowed):
                await inside.fetcher(ThreadedResolver()).fetch(inside.url("/start", OPEN))
        finally:
            await runner.cleanup()

    assert inside.asked == []


@pytest.mark.parametrize(
    "answer", [[INSIDE], [OPEN, INSIDE], [INSIDE, OPEN], [OPEN, "::1"], ["::ffff:127.0.0.1"]]
)
async def test_a_name_with_one_address_inside_is_refused_as_a_whole(answer: list[str]) -> None:
    async with serving(text) as served:
        with pytest.raises(
            NotAllowed, match=r"docs\.example leads to an address that is not allowed"
        ) as caught:
            await served.fetcher(Names({"docs.example": [answer]})).fetch(served.url("/", "docs.example"))

    assert served.asked == []
    assert INSIDE not in str(caught.value)


async def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked() -> None:
    async with serving(redirecting("/end")) as served:
        names = Names({"docs.example": [[OPEN], [INSIDE]]})
        with pytest.raises(NotAllowed):
            await served.fetcher(names).fetch(served.url("/start", "docs.example"))

        again = Names({"docs.example": [[OPEN], [INSIDE]]})
        await served.fetcher(again).fetch(served.url("/page", "docs.example"))

    # Looked up once for each request; the second request of the redirect was refused.
    assert names.asked == ["docs.example", "docs.example"]
    assert again.asked == ["docs.example"]
    assert [path for _, path in served.asked] == ["/start", "/page"]


async def test_a_resolver_that_lies_about_what_it_checked_still_reaches_no_socket() -> None:
    class Twice(Names):
        """Its answer is another one each time that it is read."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            first, second = (
                await super().resolve(host, port, family),
                await super().resolve(host, port, family),
            )

            class Changing(list[ResolveResult]):
                reads = 0

                def __iter__(self):  # type: ignore[no-untyped-def]
                    self.reads += 1
                    return iter(first if self.reads == 1 else second)

            return Changing(second)

    async with serving(text, INSIDE) as inside:
        names = Twice({"docs.example": [[OPEN], [INSIDE]]})
        with pytest.raises(NotAllowed):
            await inside.fetcher(names).fetch(inside.url("/", "docs.example"))

    assert inside.asked == []


async def test_redirects_end() -> None:
    async def round_and_round(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"location": request.path + "x"})

    async with serving(round_and_round) as served:
        with pytest.raises(FetchFailed, match="5 redirects"):
            await served.fetcher().fetch(served.url("/"))

    assert len(served.asked) == 6


async def test_a_body_that_is_too_large_is_left_off_as_soon_as_that_is_known() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * (1 << 20))
            sent += 1

    async def said(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": str(33 << 20)})
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    for handle in (endless, said):
        async with serving(handle) as served:
            with pytest.raises(FetchFailed, match="larger than 32 MiB"):
                await served.fetcher(seconds=20).fetch(served.url("/"))

    assert sent < 64


async def test_a_bomb_is_not_unpacked() -> None:
    layer = gzip.compress(b"\0" * (1 << 20))
    bomb = b"".join([layer] * 4096)  # 4 GiB in 4 MiB

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"content-encoding": "gzip", "content-type": "text/plain"})

    async with serving(handle) as served:
        with pytest.raises(FetchFailed, match="unpacks to more than 64 MiB"):
            await served.fetcher().fetch(served.url("/"))


async def test_what_is_packed_as_asked_for_is_unpacked() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        encoding = request.path[1:]
        return web.Response(body=gzip.compress(b"Otters."), headers={"content-encoding": encoding})

    async with serving(handle) as served:
        assert (await served.fetcher().fetch(served.url("/gzip"))).content == b"Otters."
        with pytest.raises(FetchFailed, match="'br'"):
            await served.fetcher().fetch(served.url("/br"))


async def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    async with serving(drip) as served:
        with pytest.raises(FetchFailed, match=r"longer than 0\.2 s"):
            await served.fetcher(seconds=0.2).fetch(served.url("/"))


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, b"no", "answered 404"),
        (500, b"no", "answered 500"),
        (206, b"part", "answered 206"),
        (200, b"", "nothing"),
    ],
)
async def test_an_answer_that_is_no_document_says_so(status: int, body: bytes, says: str) -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    async with serving(handle) as served:
        with pytest.raises(FetchFailed, match=says):
            await served.fetcher().fetch(served.url("/"))


async def test_a_server_that_is_away_or_speaks_otherwise_says_so() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(garbage, OPEN, 0)
    port = server.sockets[0].getsockname()[1]
    fetcher = Fetcher(Policy.parse(OPEN, str(port)), Names({}), 5.0, 4)
    async with server:
        with pytest.raises(FetchFailed, match="HTTP"):
            await fetcher.fetch(f"http://{OPEN}:{port}/")
        with pytest.raises(FetchFailed, match=r"reached|certificate"):
            await fetcher.fetch(f"https://{OPEN}:{port}/")
    with pytest.raises(FetchFailed, match="cannot be reached"):
        await fetcher.fetch(f"http://{OPEN}:{port}/")
    with pytest.raises(FetchFailed, match="name cannot be resolved"):
        await fetcher.fetch(f"http://nowhere.example:{port}/")


@pytest.mark.parametrize("host", ["a..example", "x" * 64 + ".example"])
async def test_a_name_that_dns_cannot_hold_says_so(host: str) -> None:
    async with serving(text) as served:
        with pytest.raises(FetchFailed, match=r"name cannot be resolved|URL"):
            await served.fetcher(ThreadedResolver()).fetch(served.url("/", host))


async def test_text_keeps_its_letters_in_the_encoding_that_the_header_names() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body="Größe, Œuvre".encode("cp1252"), headers={"content-type": "text/plain; charset=ISO-8859-1"}
        )

    async with serving(handle) as served:
        fetched = await served.fetcher().fetch(served.url("/"))

    assert fetched.content.decode("utf-8-sig") == "Größe, Œuvre"


async def test_names_beyond_ascii_are_asked_for_as_dns_has_them() -> None:
    async with serving(text) as served:
        names = Names({"xn--bcher-kva.example": [[OPEN]]})
        await served.fetcher(names).fetch(served.url("/", "bücher.example"))

    assert names.asked == ["xn--bcher-kva.example"]


async def test_no_more_are_fetched_at_once_than_allowed() -> None:
    now, most = 0, 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return await text(request)

    async with serving(handle) as served:
        fetcher = served.fetcher()
        await asyncio.gather(*(fetcher.fetch(served.url(f"/{n}")) for n in range(12)))

    assert most == 4
