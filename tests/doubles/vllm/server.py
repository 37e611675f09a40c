"""The double of a vLLM server: what it holds, what it is asked, and its life on a port of loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from doubles.vllm import errors, writing
from doubles.vllm.adapters import Adapter, Reader, reading
from doubles.vllm.app import application
from doubles.vllm.chat import FINGERPRINT
from doubles.vllm.engine import Engine
from doubles.vllm.metrics import Metrics
from doubles.vllm.settings import Settings
from doubles.vllm.writing import Request, Writer


@dataclass
class Faults:
    """What goes wrong; may change at any time."""

    status: int = 0
    """Of every reply under `/v1/chat` and `/v1/completions`, in place of an answer."""
    health: int = 200
    """Of `/health`; vLLM says 503 once its engine has died."""
    silent: bool = False
    """Takes connections and never replies, on any path."""
    break_after: int | None = None
    """Cuts a stream after so many pieces."""
    slow_loads: dict[str, float] = field(default_factory=dict)
    """Seconds that a load takes besides `load_seconds`, by the adapter's folder; nothing is written meanwhile."""
    failing_loads: dict[str, str] = field(default_factory=dict)
    """What the engine's worker says in place of loading, by the adapter's folder."""


class Vllm:
    """One server; `async with Vllm(...) as server` serves it.

    Args:
        settings: Its options and its pace.
        read: Reads adapters' folders; `adapters.believing` takes any path.
        write: Writes the answers.
        heard: Told of each request for text before anything else.
        left: Set once a caller has left before the end.
        any_model: Answers by any name, as the base model does.
        any_length: Takes prompts and limits beyond the context.
        port: Of loopback; 0 takes a free one, which it keeps when it restarts.
    """

    def __init__(
        self,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        *,
        read: Reader | None = None,
        write: Writer | None = None,
        heard: Callable[[Request], None] | None = None,
        left: asyncio.Event | None = None,
        any_model: bool = False,
        any_length: bool = False,
        fingerprint: str = FINGERPRINT,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.settings = settings
        self.faults = Faults()
        self.any_model = any_model
        self.any_length = any_length
        self.fingerprint = fingerprint
        self.write = write or writing.drawing(settings.answer_tokens)
        self.heard = heard or (lambda request: None)
        self.requests: list[Request] = []
        """Requests for text, oldest first."""
        self.asked = asyncio.Event()
        """It was asked for text."""
        self.left = left or asyncio.Event()
        """A caller has left before the end."""
        self._read = read or reading(settings.max_lora_rank)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._locks: dict[str, asyncio.Lock] = {}
        self._boot()

    def _boot(self) -> None:
        self.adapters: dict[str, Adapter] = {}
        """By the names that the API serves."""
        self.engine = Engine(self.settings, self._reread)
        self.metrics = Metrics(self.settings, self.engine)
        self.engine.changed = self.metrics.note
        self._numbers = 0

    @property
    def died(self) -> asyncio.Event:
        """The engine has died; vLLM's process ends then, here a test stops or restarts the server."""
        return self.engine.died

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://{self._host}:{self._port}"

    @property
    def v1(self) -> str:
        """Base URL of the OpenAI API."""
        return f"{self.url}/v1"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Serves."""
        # A caller who leaves cancels the handler, as in vLLM.
        runner = web.AppRunner(application(self), handler_cancellation=True, shutdown_timeout=0.0)
        await runner.setup()
        await web.TCPSite(runner, self._host, self._port, reuse_address=True).start()
        self._runner, self._port = runner, runner.addresses[0][1]

    async def stop(self) -> None:
        """Cuts every connection and is gone: nothing listens any more."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def restart(self, seconds_away: float = 0.0) -> None:
        """Stops, is away, and comes back on the same port with nothing loaded."""
        await self.stop()
        await asyncio.sleep(seconds_away)
        self._boot()
        await self.start()

    async def load(self, name: str, path: str, *, in_place: bool = False) -> None:
        """Loads an adapter.

        Raises:
            ApiError: as vLLM would answer.
        """
        if self.died.is_set():
            raise errors.engine_died()
        if not name or not path:
            raise errors.lora("Both 'lora_name' and 'lora_path' must be provided.")
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name == self.settings.model:
                raise errors.lora(f"The lora adapter '{name}' conflicts with a served base model.")
            if name in self.adapters and not in_place:
                raise errors.already_loaded(name)
            if name in self.adapters:
                number = self.adapters[name].number
            else:
                self._numbers += 1
                number = self._numbers
            if path in self.faults.failing_loads:
                raise errors.load_failed(self.faults.failing_loads[path])
            adapter = Adapter(name, number, path, self._read(name, path), in_place)
            await self.engine.add(adapter, self.faults.slow_loads.get(path, 0.0))
            self.adapters[name] = adapter

    async def unload(self, name: str) -> None:
        """Takes a name away.

        Raises:
            ApiError: as vLLM would answer.
        """
        if not name:
            raise errors.lora("'lora_name' needs to be provided to unload a LoRA adapter.")
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self.adapters:
                raise errors.not_loaded(name)
            del self.adapters[name]

    def adapter(self, model: str | None) -> Adapter | None:
        """The adapter of a name; None for the base model.

        Raises:
            ApiError: neither is called so.
        """
        if model in self.adapters:
            return self.adapters[model]
        if not model or model == self.settings.model or self.any_model:
            return None
        raise errors.unknown_model(model, self.settings.model)

    def _reread(self, adapter: Adapter) -> None:
        self._read(adapter.name, adapter.path)


@asynccontextmanager
async def serving(count: int, settings: Settings = Settings(), **options: Any) -> AsyncIterator[list[Vllm]]:  # noqa: B008
    """So many equal servers for the length of the block."""
    servers = [Vllm(settings, **options) for _ in range(count)]
    try:
        for server in servers:
            await server.start()
        yield servers
    finally:
        for server in servers:
            await server.stop()
