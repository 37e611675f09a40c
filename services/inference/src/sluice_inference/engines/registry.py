"""The engines of the model servers in force."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from sluice_api.objects.model_server import ModelServerSpec
from sluice_api.snapshot import Endpoint
from sluice_inference.engines.api_key import ApiKey
from sluice_inference.engines.client import replica_name
from sluice_inference.engines.extractive import ExtractiveEngine
from sluice_inference.engines.openai_compatible import OpenAiCompatibleEngine, Upstream
from sluice_inference.engines.protocol import Engine
from sluice_inference.engines.replica import Room
from sluice_inference.engines.tokenizing import LocalTokenizer
from sluice_servicekit.errors import NotFound

_NO_ENDPOINTS: Mapping[str, tuple[Endpoint, ...]] = {}


class Engines:
    """One engine for each model server. What changes of a server that has replicas changes within its engine."""

    def __init__(self, secrets_dir: Path | None) -> None:
        self._secrets_dir = secrets_dir
        self._engines: dict[str, Engine] = {}
        self._quoting: dict[str, ModelServerSpec] = {}
        """The specs of embedded engines."""
        self._retiring: dict[asyncio.Task[None], Engine] = {}

    async def apply(
        self,
        specs: Mapping[str, ModelServerSpec],
        endpoints: Mapping[str, tuple[Endpoint, ...]] = _NO_ENDPOINTS,
    ) -> None:
        """Takes over the model servers of a snapshot, and the replicas of those that the operator runs; all or none.

        Raises:
            FailedPrecondition: a secret cannot be read, or there is no tokenizer where one should be.
        """
        upstreams = {
            name: self._upstream(name, spec, endpoints.get(name, ()))
            for name, spec in specs.items()
            if spec.extractive is None
        }
        quoting = {name: spec for name, spec in specs.items() if spec.extractive is not None}
        before, self._engines = self._engines, {}
        for name in specs:
            engine = before.get(name)
            if name in upstreams:
                if isinstance(engine, OpenAiCompatibleEngine):
                    engine.take_over(upstreams[name])
                else:
                    engine = OpenAiCompatibleEngine(name, upstreams[name])
                    engine.watch()
                self._engines[name] = engine
            elif engine is not None and self._quoting.get(name) == quoting[name]:
                self._engines[name] = engine
            else:
                self._engines[name] = _extractive(quoting[name])
        self._quoting = quoting
        for name, engine in before.items():
            if self._engines.get(name) is not engine:
                self._retire(engine)

    def get(self, name: str) -> Engine:
        """The engine of a model server.

        Raises:
            NotFound: there is none of that name here.
        """
        if name not in self._engines:
            known = ", ".join(sorted(self._engines)) or "none"
            raise NotFound(
                f"there is no model server {name!r} here; there is: {known}", reason="MODEL_SERVER_NOT_FOUND"
            )
        return self._engines[name]

    async def close(self) -> None:
        """Closes all engines, whatever is in flight."""
        retiring = dict(self._retiring)
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        for engine in (*self._engines.values(), *retiring.values()):
            await engine.close()

    def _retire(self, engine: Engine) -> None:
        task = asyncio.create_task(engine.retire())
        self._retiring[task] = engine
        task.add_done_callback(lambda done: self._retiring.pop(done, None))

    def _upstream(self, name: str, spec: ModelServerSpec, endpoints: tuple[Endpoint, ...]) -> Upstream:
        if spec.vllm is not None:
            key, lora = spec.vllm.api_key_secret, spec.vllm.lora
            room = Room(lora.max_loras, lora.max_cpu_loras) if lora is not None else Room()
        else:
            assert spec.external is not None  # noqa: S101 - the model has exactly one
            key, room = spec.external.api_key_secret, Room()
            endpoints = tuple(Endpoint(name=replica_name(url), url=url) for url in spec.external.urls)
        api_key = ApiKey(self._secrets_dir, key, f"model server {name!r}")
        tokenizer = LocalTokenizer(Path(spec.tokenizer)) if spec.tokenizer else None
        return Upstream(
            spec.base_model, endpoints, spec.routing, api_key, spec.vllm is not None, room, tokenizer
        )


def _extractive(spec: ModelServerSpec) -> ExtractiveEngine:
    assert spec.extractive is not None  # noqa: S101 - the caller has looked
    return ExtractiveEngine(spec.extractive.max_sentences)
