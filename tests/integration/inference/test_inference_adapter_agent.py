"""The whole agent over gRPC, beside a double of vLLM that reads the same folder."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from doubles.vllm import Settings, Vllm
from sluice.adapters.v1 import adapters_pb2 as pb
from sluice.adapters.v1.adapters_pb2_grpc import AdapterAgentServiceStub
from sluice_inference.adapter_agent.reasons import Reason, is_permanent
from sluice_inference.adapter_agent.service import build
from sluice_inference.adapter_agent.settings import AdapterAgentSettings
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import FailedPrecondition, InvalidArgument, ServiceError, Unauthenticated
from sluice_servicekit.service import serve
from support import lora
from support.adapter_sources import Site, giving, serving

FILES = lora.adapter()
TOKEN = "t" * 40
OPERATOR = [("authorization", f"Bearer {TOKEN}")]


@dataclass
class Agent:
    """A running agent, as the operator calls it."""

    folder: Path
    vllm: Vllm
    stub: Any
    metadata: list[tuple[str, str]] = field(default_factory=lambda: OPERATOR)

    async def resolve(self, source: pb.Source, **fields: Any) -> pb.Adapter:
        return (await self.results(source, **fields))[-1].adapter

    async def results(self, source: pb.Source, **fields: Any) -> list[pb.ResolveResponse]:
        request = pb.ResolveRequest(source=source, **fields)
        return [result async for result in self.stub.Resolve(request, metadata=self.metadata, timeout=60)]

    async def load(self, name: str, adapter: pb.Adapter) -> pb.LoadResponse:
        request = pb.LoadRequest(name=name, digest=adapter.digest, config_digest=adapter.config_digest)
        return await self.stub.Load(request, metadata=self.metadata, timeout=60)  # type: ignore[no-any-return]

    async def unload(self, name: str) -> bool:
        request = pb.UnloadRequest(name=name)
        return (await self.stub.Unload(request, metadata=self.metadata, timeout=60)).was_loaded  # type: ignore[no-any-return]

    async def status(self) -> pb.GetStatusResponse:
        return await self.stub.GetStatus(pb.GetStatusRequest(), metadata=self.metadata, timeout=60)  # type: ignore[no-any-return]

    @property
    def folders(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "adapters").iterdir())


def token_file(folder: Path) -> Path:
    path = folder / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def settings(folder: Path, vllm: Vllm, site: Site | None = None, **options: Any) -> AdapterAgentSettings:
    given = {
        "listen": "127.0.0.1:0",
        "token_file": token_file(folder),
        "adapters_dir": folder / "adapters",
        "engine_url": vllm.url,
        "base_models": "example/tiny",
        "base_model_dir": folder / "base",
        "max_lora_rank": 8,
        "fetch": "127.0.0.1",
        "fetch_ports": str(site.port if site else 80),
        "local_roots": str(folder / "local"),
        **options,
    }
    return AdapterAgentSettings(**given)


@asynccontextmanager
async def running(folder: Path, vllm: Vllm, site: Site | None = None, **options: Any) -> AsyncIterator[Agent]:
    async with AsyncExitStack() as stack:
        made = settings(folder, vllm, site, **options)
        server = await stack.enter_async_context(serve("adapter-agent", made, build))
        channel = await stack.enter_async_context(open_channel(f"127.0.0.1:{server.port}"))
        yield Agent(folder, vllm, AdapterAgentServiceStub(channel))


@pytest.fixture
async def vllm(tmp_path: Path) -> AsyncIterator[Vllm]:
    lora.base_model(tmp_path / "base")
    async with Vllm(Settings(max_lora_rank=8)) as server:
        yield server


@pytest.fixture
async def agent(tmp_path: Path, vllm: Vllm) -> AsyncIterator[Agent]:
    async with running(tmp_path, vllm) as made:
        yield made


def local(agent: Agent, name: str = "a", files: Mapping[str, bytes] = FILES) -> pb.Source:
    return pb.Source(local=pb.LocalSource(path=str(lora.written(agent.folder / "local" / name, files))))


def at(site: Site, path: str = "/a") -> pb.Source:
    return pb.Source(http=pb.HttpSource(url=site.url + path))


class Gate:
    """Gives an archive, the second half of it once it is told to."""

    def __init__(self, files: Mapping[str, bytes] = FILES) -> None:
        self._content = lora.tar(files)
        self.half = asyncio.Event()
        self.rest = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": str(len(self._content))})
        await response.prepare(request)
        middle = len(self._content) // 2
        await response.write(self._content[:middle])
        self.half.set()
        await self.rest.wait()
        await response.write(self._content[middle:])
        return response


# the way of an adapter


async def test_an_adapter_comes_is_loaded_answers_and_leaves(agent: Agent) -> None:
    adapter = await agent.resolve(local(agent), rank=4)

    assert adapter.digest == lora.weights_digest(FILES)
    assert adapter.config_digest == lora.digest(FILES["adapter_config.json"])
    assert (adapter.rank, adapter.base_model) == (4, "example/tiny")
    assert adapter.size_bytes == sum(map(len, FILES.values()))
    assert not adapter.warnings

    first, second = await agent.load("support--1", adapter), await agent.load("support--1", adapter)
    assert (first.already_loaded, second.already_loaded) == (False, True)
    assert agent.vllm.adapters["support--1"].path == adapter.path

    status = await agent.status()
    assert status.engine.reachable
    assert list(status.engine.models) == ["tiny"]
    (loaded,) = status.loaded
    assert (loaded.name, loaded.digest, loaded.config_digest) == (
        "support--1",
        adapter.digest,
        adapter.config_digest,
    )
    assert list(status.adapters) == [adapter]
    assert status.used_bytes == adapter.size_bytes

    assert await agent.unload("support--1") is True
    assert await agent.unload("support--1") is False
    assert agent.vllm.adapters == {}


async def test_what_vllm_would_take_and_answer_with_is_refused(agent: Agent) -> None:
    wrong = {**lora.MODULES, "self_attn.q_proj": (8, 8)}
    files = {**FILES, "adapter_model.safetensors": lora.safetensors(lora.adapter_shapes(modules=wrong))}
    await agent.vllm.load("wrong", str(lora.written(agent.folder / "seen-by-vllm", files)))

    with pytest.raises(FailedPrecondition) as caught:
        await agent.resolve(local(agent, "wrong", files))

    assert caught.value.reason == Reason.SHAPE_MISMATCH
    assert is_permanent(caught.value)
    (failed,) = (await agent.status()).resolutions
    assert (failed.failure.reason, failed.failure.permanent) == (Reason.SHAPE_MISMATCH, True)
    assert failed.source == local(agent, "wrong", files)
    assert agent.folders == []


async def test_the_digests_that_are_asked_for_are_those_that_come(agent: Agent) -> None:
    source = local(agent)
    for name in ("digest", "config_digest"):
        with pytest.raises(ServiceError) as caught:
            await agent.resolve(source, **{name: "sha256:" + "0" * 64})
        assert caught.value.reason == Reason.DIGEST_MISMATCH
    adapter = await agent.resolve(source)

    lora.written(agent.folder / "local" / "a", lora.adapter(fill=7))  # what lies there has changed since
    again = await agent.resolve(source, digest=adapter.digest, config_digest=adapter.config_digest)
    assert again == adapter
    with pytest.raises(ServiceError) as caught:
        await agent.resolve(local(agent, "b", lora.adapter(fill=7)), digest=adapter.digest)
    assert caught.value.reason == Reason.DIGEST_MISMATCH


async def test_what_is_here_is_checked_again_for_whoever_asks(agent: Agent) -> None:
    source = local(agent)
    await agent.resolve(source)
    with pytest.raises(ServiceError) as caught:
        await agent.resolve(source, rank=8)
    assert caught.value.reason == Reason.RANK_MISMATCH
    assert len(agent.folders) == 1


async def test_unchecked_shapes_are_told_of_or_refused_where_that_is_asked(
    tmp_path: Path, vllm: Vllm
) -> None:
    async with running(tmp_path, vllm, base_model_dir=None) as agent:
        adapter = await agent.resolve(local(agent))
        assert [warning.reason for warning in adapter.warnings] == ["SHAPES_UNCHECKED"]
        with pytest.raises(ServiceError) as caught:
            await agent.resolve(local(agent), strict=True)
    assert caught.value.reason == Reason.UNCHECKED


async def test_load_needs_what_is_here_and_a_name(agent: Agent) -> None:
    missing = pb.Adapter(digest=lora.weights_digest(FILES), config_digest="sha256:" + "1" * 64)
    with pytest.raises(ServiceError) as caught:
        await agent.load("a", missing)
    assert caught.value.reason == Reason.ADAPTER_MISSING
    assert not is_permanent(caught.value)

    adapter = await agent.resolve(local(agent))
    for name in ("", "../a", "a/b", "a b", "ä", "a" * 254):
        with pytest.raises(InvalidArgument):
            await agent.load(name, adapter)
        with pytest.raises(InvalidArgument):
            await agent.unload(name)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"source": pb.Source(local=pb.LocalSource(path="relative"))},
        {"source": pb.Source(http=pb.HttpSource(url="file:///etc/passwd"))},
        {"source": pb.Source(s3=pb.S3Source(bucket="b", key="k"))},
        {"source": pb.Source(pvc=pb.PvcSource(claim_name="../x", path="a"))},
        {"source": pb.Source(oci=pb.OciSource())},
        {"source": pb.Source(local=pb.LocalSource(path="/a")), "digest": "sha256:short"},
        {"source": pb.Source(local=pb.LocalSource(path="/a")), "timeout": -1.0},
        {"source": pb.Source(local=pb.LocalSource(path="/a")), "timeout": float("nan")},
    ],
)
async def test_a_request_that_makes_no_sense_says_so(agent: Agent, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        async for _ in agent.stub.Resolve(pb.ResolveRequest(**fields), metadata=OPERATOR):
            pass


# on its way


async def test_all_who_ask_for_the_same_share_one_download_and_see_how_far_it_is(
    tmp_path: Path, vllm: Vllm
) -> None:
    gate = Gate()
    async with serving(gate.answer) as site, running(tmp_path, vllm, site) as agent:
        asking = [asyncio.create_task(agent.results(at(site))) for _ in range(5)]
        await gate.half.wait()
        while not (resolutions := (await agent.status()).resolutions) or not resolutions[0].progress.bytes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        gate.rest.set()
        results = await asyncio.gather(*asking)

    assert len(site.asked) == 1
    (under_way,) = resolutions
    assert under_way.progress.phase == pb.PHASE_FETCHING
    assert 0 < under_way.progress.bytes < under_way.progress.total_bytes == len(lora.tar(FILES))
    assert {result[-1].adapter.digest for result in results} == {lora.weights_digest(FILES)}
    assert all(result[0].WhichOneof("result") == "progress" for result in results)


async def test_one_who_leaves_stops_nothing(tmp_path: Path, vllm: Vllm) -> None:
    gate = Gate()
    async with serving(gate.answer) as site, running(tmp_path, vllm, site) as agent:
        leaving = asyncio.create_task(agent.results(at(site)))
        await gate.half.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        gate.rest.set()
        adapter = await agent.resolve(at(site))
        assert (await agent.status()).resolutions == []

    assert adapter.digest == lora.weights_digest(FILES)
    assert len(site.asked) == 1


async def test_an_agent_that_ends_leaves_no_half_and_the_next_one_starts_over(
    tmp_path: Path, vllm: Vllm
) -> None:
    gate = Gate()
    async with serving(gate.answer) as site:
        async with running(tmp_path, vllm, site, drain_seconds=0) as agent:
            asking = asyncio.create_task(agent.results(at(site)))
            await gate.half.wait()
            assert agent.folders[0].startswith(".partial-")
        with pytest.raises((ServiceError, asyncio.CancelledError)):
            await asking
        assert agent.folders == []
        gate.rest.set()
        async with running(tmp_path, vllm, site) as agent:
            adapter = await agent.resolve(at(site))
            await agent.load("a", adapter)
        async with running(tmp_path, vllm, site) as agent:  # what was whole is still there
            status = await agent.status()
            assert await agent.resolve(at(site)) == adapter

    assert list(status.adapters) == [adapter]
    assert status.loaded[0].digest == adapter.digest
    assert len(site.asked) == 2


async def test_an_adapter_that_does_not_come_in_time_is_given_up(tmp_path: Path, vllm: Vllm) -> None:
    gate = Gate()
    async with serving(gate.answer) as site, running(tmp_path, vllm, site) as agent:
        with pytest.raises(ServiceError) as caught:
            await agent.resolve(at(site), timeout=0.2)
        assert agent.folders == []
        assert (await agent.status()).used_bytes == 0
        gate.rest.set()
        await agent.resolve(at(site))  # and asked for again it is tried again

    assert caught.value.reason == Reason.SOURCE_TOO_SLOW
    assert not is_permanent(caught.value)


async def test_no_more_are_fetched_at_once_than_allowed(tmp_path: Path, vllm: Vllm) -> None:
    gate = Gate()
    async with serving(gate.answer) as site, running(tmp_path, vllm, site, fetch_concurrency=1) as agent:
        asking = [asyncio.create_task(agent.results(at(site, path))) for path in ("/a", "/b")]
        await gate.half.wait()
        while len((await agent.status()).resolutions) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        phases = {each.progress.phase for each in (await agent.status()).resolutions}
        asked = len(site.asked)
        gate.rest.set()
        await asyncio.gather(*asking)

    assert phases == {pb.PHASE_FETCHING, pb.PHASE_WAITING}
    assert asked == 1


async def test_room_is_made_by_what_is_not_loaded(tmp_path: Path, vllm: Vllm) -> None:
    size = sum(map(len, FILES.values()))
    async with running(tmp_path, vllm, disk_budget=2 * size, keep_seconds=0) as agent:
        loaded = await agent.resolve(local(agent, "one", lora.adapter(fill=1)))
        await agent.load("one", loaded)
        await agent.resolve(local(agent, "two", lora.adapter(fill=2)))
        third = await agent.resolve(local(agent, "three", lora.adapter(fill=3)))
        assert {each.digest for each in (await agent.status()).adapters} == {loaded.digest, third.digest}

        await agent.load("three", third)
        with pytest.raises(ServiceError) as caught:
            await agent.resolve(local(agent, "four", lora.adapter(fill=4)))
        assert caught.value.reason == Reason.DISK_FULL
        assert len(agent.folders) == 2


async def test_an_adapter_that_was_just_unloaded_stays_for_requests_that_came_before(
    tmp_path: Path, vllm: Vllm
) -> None:
    options = {"disk_budget": sum(map(len, FILES.values())), "keep_seconds": 3600}
    async with running(tmp_path, vllm, **options) as agent:
        adapter = await agent.resolve(local(agent))
        await agent.load("a", adapter)
    os.utime(tmp_path / "adapters" / adapter.path.rpartition("/")[2] / "sluice.json", (0, 0))
    async with running(tmp_path, vllm, **options) as agent:
        await agent.unload("a")
        with pytest.raises(ServiceError) as caught:
            await agent.resolve(local(agent, "b", lora.adapter(fill=2)))

    assert caught.value.reason == Reason.DISK_FULL


# vLLM


async def test_a_vllm_that_restarts_has_nothing_loaded_and_the_files_are_still_here(agent: Agent) -> None:
    adapter = await agent.resolve(local(agent))
    await agent.load("a", adapter)
    await agent.vllm.stop()

    gone = await agent.status()
    assert not gone.engine.reachable
    assert gone.engine.reason == Reason.ENGINE_UNREACHABLE
    assert list(gone.adapters) == [adapter]
    with pytest.raises(ServiceError) as caught:
        await agent.load("a", adapter)
    assert caught.value.reason == Reason.ENGINE_UNREACHABLE

    await agent.vllm.restart()
    assert list((await agent.status()).loaded) == []
    assert not (await agent.load("a", adapter)).already_loaded


async def test_vllm_may_see_the_folder_elsewhere(tmp_path: Path, vllm: Vllm) -> None:
    (tmp_path / "seen").symlink_to(tmp_path / "adapters")
    async with running(tmp_path, vllm, engine_adapters_dir=tmp_path / "seen") as agent:
        adapter = await agent.resolve(local(agent))
        await agent.load("a", adapter)
        assert adapter.path.startswith(str(tmp_path / "seen"))
        assert (await agent.status()).loaded[0].digest == adapter.digest


async def test_adapters_that_others_have_loaded_are_listed_as_theirs(agent: Agent) -> None:
    adapter = await agent.resolve(local(agent))
    name = adapter.path.rpartition("/")[2]
    await agent.vllm.load("theirs", str(lora.written(agent.folder / "elsewhere" / name, FILES)))
    (loaded,) = (await agent.status()).loaded
    assert (loaded.name, loaded.digest) == ("theirs", "")


# who may call


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [("authorization", f"Bearer {TOKEN}x")],
        [("authorization", TOKEN)],
        [("authorization", "Bearer ")],
        [("authorization", f"Basic {TOKEN}")],
    ],
)
async def test_without_the_token_nothing_is_told(agent: Agent, sent: list[tuple[str, str]]) -> None:
    agent.metadata = sent
    source = local(agent)
    for call in (agent.status(), agent.unload("a"), agent.load("a", pb.Adapter()), agent.resolve(source)):
        with pytest.raises(Unauthenticated):
            await call
    assert agent.folders == []


async def test_the_token_can_be_exchanged_while_the_agent_runs(agent: Agent) -> None:
    await agent.status()
    (agent.folder / "token").write_text("n" * 40)
    with pytest.raises(Unauthenticated):
        await agent.status()
    agent.metadata = [("authorization", f"bearer {'n' * 40}")]
    await agent.status()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "10.0.0.1:9000"])
async def test_without_a_token_only_this_machine_is_answered(tmp_path: Path, vllm: Vllm, listen: str) -> None:
    made = settings(tmp_path, vllm, token_file=None, listen=listen)
    with pytest.raises(FailedPrecondition, match="SLUICE_TOKEN_FILE"):
        async with serve("adapter-agent", made, build):
            pass
    async with running(tmp_path, vllm, token_file=None) as agent:
        agent.metadata = []
        assert (await agent.status()).engine.reachable


async def test_a_token_that_others_may_read_is_refused_at_the_start(tmp_path: Path, vllm: Vllm) -> None:
    made = settings(tmp_path, vllm)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(FailedPrecondition, match="chmod"):
        async with serve("adapter-agent", made, build):
            pass


@pytest.mark.parametrize(
    "options",
    [
        {"engine_url": "http://10.0.0.1:8000"},
        {"engine_url": "https://vllm.example"},
        {"fetch": "10.0.0.1/8"},
        {"local_roots": "relative"},
        {"max_lora_rank": 0},
    ],
)
def test_settings_without_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        AdapterAgentSettings(**options)


def test_it_runs_as_a_module_and_says_what_is_wrong(tmp_path: Path) -> None:
    environment = {**os.environ, "SLUICE_LISTEN": "0.0.0.0:0", "SLUICE_ADAPTERS_DIR": str(tmp_path / "a")}
    command = [sys.executable, "-m", "sluice_inference.adapter_agent"]
    started = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert started.returncode == 2
    assert "SLUICE_TOKEN_FILE" in started.stderr


async def test_a_broken_archive_is_a_failure_that_the_status_keeps_until_it_is_asked_for_again(
    tmp_path: Path, vllm: Vllm
) -> None:
    async with serving(giving(b"<html>")) as site, running(tmp_path, vllm, site) as agent:
        with pytest.raises(ServiceError) as caught:
            await agent.resolve(at(site))
        assert caught.value.reason == Reason.ARCHIVE_INVALID
        (failed,) = (await agent.status()).resolutions
        assert failed.failure.message == caught.value.message
        site.answer = giving(lora.tar(FILES))
        await agent.resolve(at(site))
        assert (await agent.status()).resolutions == []


async def test_a_signed_url_is_written_down_nowhere(
    tmp_path: Path, vllm: Vllm, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(giving(b"")) as site, running(tmp_path, vllm, site) as agent:
        source = at(site, "/a.tar.gz?X-Signature=secret")
        with pytest.raises(ServiceError) as caught:
            await agent.resolve(source)
        site.answer = giving(lora.tar(FILES))
        adapter = await agent.resolve(source)
        assert await agent.resolve(source) == adapter

    records = [path.read_text() for path in (tmp_path / "adapters").glob("*/sluice.json")]
    assert "/a.tar.gz" in caplog.text
    assert "secret" not in caught.value.message + adapter.origin + caplog.text + "".join(records)
