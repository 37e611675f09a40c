"""The double of the adapter agent against the real one over a double of vLLM: the same cases, the same answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doubles.agent import AgentDouble, Catalogue, Files
from doubles.agent import Settings as DoubleSettings
from doubles.vllm import Settings, Vllm
from sluice.adapters.v1 import adapters_pb2 as pb
from sluice.adapters.v1.adapters_pb2_grpc import AdapterAgentServiceStub
from sluice_inference.adapter_agent.reasons import Reason, is_permanent
from sluice_inference.adapter_agent.service import build
from sluice_inference.adapter_agent.settings import AdapterAgentSettings
from sluice_servicekit.channels import open_channel
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.service import serve
from support import lora

TOKEN = "t" * 40
MAX_RANK = 8
WRONG_SHAPE = {**lora.MODULES, "self_attn.q_proj": (8, 8)}


@dataclass
class Agent:
    """Either of the two, and how its vLLM is meddled with."""

    folder: Path
    stub: Any
    vllm: Vllm | None = None
    double: AgentDouble | None = None
    token: str = TOKEN

    @property
    def metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.token}")] if self.token else []

    async def results(self, name: str, **fields: Any) -> list[pb.ResolveResponse]:
        source = pb.Source(local=pb.LocalSource(path=str(self.folder / "local" / name)))
        request = pb.ResolveRequest(source=source, **fields)
        return [each async for each in self.stub.Resolve(request, metadata=self.metadata, timeout=60)]

    async def resolve(self, name: str, **fields: Any) -> pb.Adapter:
        return (await self.results(name, **fields))[-1].adapter

    async def load(self, name: str, adapter: pb.Adapter) -> pb.LoadResponse:
        request = pb.LoadRequest(name=name, digest=adapter.digest, config_digest=adapter.config_digest)
        return await self.stub.Load(request, metadata=self.metadata, timeout=60)  # type: ignore[no-any-return]

    async def unload(self, name: str) -> bool:
        request = pb.UnloadRequest(name=name)
        response = await self.stub.Unload(request, metadata=self.metadata, timeout=60)
        return bool(response.was_loaded)

    async def status(self) -> pb.GetStatusResponse:
        return await self.stub.GetStatus(pb.GetStatusRequest(), metadata=self.metadata, timeout=60)  # type: ignore[no-any-return]

    async def restart_engine(self) -> None:
        if self.vllm:
            await self.vllm.restart()
        if self.double:
            self.double.restart_engine()

    async def set_engine(self, *, up: bool) -> None:
        if self.vllm:
            await (self.vllm.start() if up else self.vllm.stop())
        if self.double:
            self.double.faults.engine_down = not up

    async def load_elsewhere(self, name: str) -> None:
        """Somebody else has vLLM load an adapter from a folder that is none of the agent's."""
        if self.vllm:
            path = lora.written(self.folder / "elsewhere" / name, lora.adapter(fill=9))
            await self.vllm.load(name, str(path))
        if self.double:
            self.double.engine.put(name, f"/elsewhere/{name}")

    async def fail_loads(self, name: str) -> None:
        """vLLM's worker fails to load the adapter of a name."""
        path = (await self.resolve(name)).path
        if self.vllm:
            self.vllm.faults.failing_loads[path] = "CUDA error"
        if self.double:
            self.double.faults.failing_loads[str(self.folder / "local" / name)] = -1


def _lay_out(folder: Path) -> None:
    """Adapters of all kinds, good and bad."""
    lora.base_model(folder / "base")
    local = folder / "local"
    for number, name in enumerate("abc"):
        lora.written(local / name, lora.adapter(fill=number))
    lora.written(local / "rank16", lora.adapter(rank=16))
    lora.written(local / "corrupt", {**lora.adapter(), "adapter_model.safetensors": b"\xff" * 64})
    shapes = lora.safetensors(lora.adapter_shapes(modules=WRONG_SHAPE))
    lora.written(local / "shape", {**lora.adapter(), "adapter_model.safetensors": shapes})
    lora.written(local / "other-base", lora.adapter(base_model_name_or_path="example/other"))


def _catalogue(folder: Path) -> Catalogue:
    """The same, as the double is told of it."""
    local = folder / "local"
    wrong = {"missing": Reason.SOURCE_NOT_FOUND, "corrupt": Reason.NOT_SAFETENSORS}
    checked = {"shape": Reason.SHAPE_MISMATCH, "other-base": Reason.BASE_MODEL_MISMATCH}
    return Catalogue(
        {
            str(path): Files.read(
                path, wrong=checked.get(path.name), target_modules=("down_proj", *_OTHER_MODULES)
            )
            for path in local.iterdir()
            if path.name not in wrong
        },
        {str(local / name): reason for name, reason in wrong.items()},
    )


_OTHER_MODULES = ("gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[Agent]:
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    async with AsyncExitStack() as stack:
        vllm = await stack.enter_async_context(Vllm(Settings(max_lora_rank=MAX_RANK)))
        settings = AdapterAgentSettings(
            listen="127.0.0.1:0",
            token_file=token,
            adapters_dir=folder / "adapters",
            engine_url=vllm.url,
            base_models="example/tiny",
            base_model_dir=folder / "base",
            max_lora_rank=MAX_RANK,
            local_roots=str(folder / "local"),
        )
        server = await stack.enter_async_context(serve("adapter-agent", settings, build))
        channel = await stack.enter_async_context(open_channel(f"127.0.0.1:{server.port}"))
        yield Agent(folder, AdapterAgentServiceStub(channel), vllm=vllm)


@asynccontextmanager
async def doubled(folder: Path) -> AsyncIterator[Agent]:
    settings = DoubleSettings(token=TOKEN, max_lora_rank=MAX_RANK, folder=str(folder / "adapters"))
    async with AgentDouble(settings, _catalogue(folder)) as double, open_channel(double.address) as channel:
        yield Agent(folder, AdapterAgentServiceStub(channel), double=double)


@pytest.fixture(params=[real, doubled], ids=["real", "double"])
async def agent(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Agent]:
    """Each of the two in turn, with the same adapters around it."""
    _lay_out(tmp_path)
    async with request.param(tmp_path) as made:
        yield made


async def test_an_adapter_comes_is_loaded_and_leaves(agent: Agent) -> None:
    results = await agent.results("a", rank=4)
    assert [each.WhichOneof("result") for each in results[-1:]] == ["adapter"]
    assert all(each.WhichOneof("result") == "progress" for each in results[:-1])
    adapter = results[-1].adapter
    files = lora.adapter(fill=0)
    assert adapter.digest == lora.weights_digest(files)
    assert adapter.config_digest == lora.digest(files["adapter_config.json"])
    folder = f"{adapter.digest.removeprefix('sha256:')}-{adapter.config_digest.removeprefix('sha256:')[:16]}"
    assert adapter.path == str(agent.folder / "adapters" / folder)
    assert adapter.origin == str(agent.folder / "local" / "a")
    assert (adapter.rank, adapter.base_model) == (4, "example/tiny")
    assert sorted(adapter.target_modules) == ["down_proj", *_OTHER_MODULES]
    assert adapter.size_bytes == sum(map(len, files.values()))
    assert [each.WhichOneof("result") for each in await agent.results("a")] == ["adapter"]

    first, second = await agent.load("a--1", adapter), await agent.load("a--1", adapter)
    assert (first.already_loaded, second.already_loaded) == (False, True)
    assert second.seconds == 0.0
    status = await agent.status()
    assert status.engine.reachable
    assert list(status.engine.models) == ["tiny"]
    assert (status.engine.reason, status.engine.problem) == ("", "")
    (loaded,) = status.loaded
    assert (loaded.name, loaded.path) == ("a--1", adapter.path)
    assert (loaded.digest, loaded.config_digest) == (adapter.digest, adapter.config_digest)
    assert list(status.adapters) == [adapter]
    assert status.used_bytes == adapter.size_bytes
    assert not status.resolutions

    assert [await agent.unload("a--1"), await agent.unload("a--1")] == [True, False]
    status = await agent.status()
    assert not status.loaded
    assert list(status.adapters) == [adapter]


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("missing", {}, Reason.SOURCE_NOT_FOUND),
        ("corrupt", {}, Reason.NOT_SAFETENSORS),
        ("rank16", {}, Reason.RANK_TOO_HIGH),
        ("shape", {}, Reason.SHAPE_MISMATCH),
        ("other-base", {}, Reason.BASE_MODEL_MISMATCH),
        ("a", {"rank": 8}, Reason.RANK_MISMATCH),
        ("a", {"digest": "sha256:" + "0" * 64}, Reason.DIGEST_MISMATCH),
        ("a", {"config_digest": "sha256:" + "0" * 64}, Reason.DIGEST_MISMATCH),
    ],
)
async def test_what_cannot_be_taken_is_refused_and_remembered(
    agent: Agent, name: str, fields: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(ServiceError) as caught:
        await agent.resolve(name, **fields)
    assert caught.value.reason == reason
    assert is_permanent(caught.value)
    status = await agent.status()
    (failed,) = status.resolutions
    assert (failed.failure.reason, failed.failure.permanent) == (reason, True)
    assert failed.failure.message == caught.value.message
    assert failed.source.local.path == str(agent.folder / "local" / name)
    assert not failed.HasField("progress")
    assert not status.adapters
    assert not status.loaded


async def test_what_is_here_is_checked_again(agent: Agent) -> None:
    adapter = await agent.resolve("a")
    with pytest.raises(ServiceError) as caught:
        await agent.resolve("a", rank=8)
    assert caught.value.reason == Reason.RANK_MISMATCH
    assert len((await agent.status()).resolutions) == 1
    pinned = {"digest": adapter.digest, "config_digest": adapter.config_digest}
    assert await agent.resolve("a", **pinned) == adapter
    assert await agent.resolve("b", **pinned) == adapter  # wherever it is from: those files are here


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"digest": "sha256:short"}, "INVALID_ARGUMENT"),
        ({"timeout": -1.0}, "INVALID_ARGUMENT"),
    ],
)
async def test_a_request_without_sense_says_so(agent: Agent, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await agent.resolve("a", **fields)
    assert caught.value.reason == reason
    with pytest.raises(ServiceError) as caught:
        async for _ in agent.stub.Resolve(pb.ResolveRequest(), metadata=agent.metadata):
            pass
    assert caught.value.reason == "INVALID_ARGUMENT"


async def test_names_have_to_be_names_and_free(agent: Agent) -> None:
    first, second = await agent.resolve("a"), await agent.resolve("b")
    await agent.load("a--1", first)
    wrong = [("../a", first), ("", first), ("tiny", first), ("a--1", second)]
    reasons = []
    for name, adapter in wrong:
        with pytest.raises(ServiceError) as caught:
            await agent.load(name, adapter)
        assert is_permanent(caught.value)
        reasons.append(caught.value.reason)
    assert reasons == [Reason.NAME_INVALID, Reason.NAME_INVALID, Reason.NAME_TAKEN, Reason.NAME_TAKEN]
    for name in ("a/b", "tiny"):
        with pytest.raises(ServiceError) as caught:
            await agent.unload(name)
        assert caught.value.reason == Reason.NAME_INVALID


async def test_files_have_to_be_here_before_they_are_loaded(agent: Agent) -> None:
    here = await agent.resolve("a")
    for missing in (
        pb.Adapter(digest="sha256:" + "1" * 64, config_digest=here.config_digest),
        pb.Adapter(digest=here.digest),
    ):
        with pytest.raises(ServiceError) as caught:
            await agent.load("a--1", missing)
        assert caught.value.reason == Reason.ADAPTER_MISSING
        assert not is_permanent(caught.value)


async def test_a_restarted_engine_has_nothing_loaded_and_the_files_are_still_here(agent: Agent) -> None:
    adapter = await agent.resolve("a")
    await agent.load("a--1", adapter)
    await agent.restart_engine()
    status = await agent.status()
    assert not status.loaded
    assert list(status.adapters) == [adapter]
    assert not (await agent.load("a--1", adapter)).already_loaded


async def test_an_engine_that_is_down_is_told_of_and_fails_what_needs_it(agent: Agent) -> None:
    adapter = await agent.resolve("a")
    await agent.set_engine(up=False)
    status = await agent.status()
    assert (status.engine.reachable, status.engine.reason) == (False, Reason.ENGINE_UNREACHABLE)
    assert status.engine.problem
    assert not status.engine.models
    assert list(status.adapters) == [adapter]
    for call in (agent.load("a--1", adapter), agent.unload("a--1")):
        with pytest.raises(ServiceError) as caught:
            await call
        assert caught.value.reason == Reason.ENGINE_UNREACHABLE
        assert not is_permanent(caught.value)
    await agent.resolve("b")
    await agent.set_engine(up=True)
    await agent.load("a--1", adapter)


async def test_a_load_that_the_engine_fails_may_be_tried_again(agent: Agent) -> None:
    await agent.fail_loads("a")
    with pytest.raises(ServiceError) as caught:
        await agent.load("a--1", await agent.resolve("a"))
    assert caught.value.reason == Reason.ENGINE_FAILED
    assert not is_permanent(caught.value)
    assert not (await agent.status()).loaded


async def test_what_others_have_loaded_is_listed_without_digests(agent: Agent) -> None:
    await agent.load_elsewhere("theirs")
    (loaded,) = (await agent.status()).loaded
    assert (loaded.name, loaded.digest, loaded.config_digest) == ("theirs", "", "")
    with pytest.raises(ServiceError) as caught:
        await agent.load("theirs", await agent.resolve("a"))
    assert caught.value.reason == Reason.NAME_TAKEN
    assert await agent.unload("theirs") is True


async def test_calls_that_come_together_are_answered_as_one_after_the_other(agent: Agent) -> None:
    adapters = await asyncio.gather(*(agent.resolve(name) for name in "abcabc"))
    assert adapters[:3] == adapters[3:]
    loads = await asyncio.gather(*(agent.load("a--1", adapters[0]) for _ in range(4)))
    assert sorted(each.already_loaded for each in loads) == [False, True, True, True]
    unloads = await asyncio.gather(*(agent.unload("a--1") for _ in range(4)))
    assert sorted(unloads) == [False, False, False, True]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x"])
async def test_without_the_token_nothing_is_told(agent: Agent, token: str) -> None:
    agent.token = token
    for call in (agent.status(), agent.unload("a"), agent.load("a", pb.Adapter()), agent.resolve("a")):
        with pytest.raises(ServiceError) as caught:
            await call
        assert caught.value.reason == "UNAUTHENTICATED"
