"""The engines of the model servers in force."""

from collections.abc import Mapping
from pathlib import Path

from sluice_api.objects.model_server import ModelServerSpec
from sluice_inference.engines.extractive import ExtractiveEngine
from sluice_inference.engines.openai_compatible import OpenAiCompatibleEngine
from sluice_inference.engines.protocol import Engine
from sluice_inference.engines.tokenizing import LocalTokenizer
from sluice_servicekit import secrets
from sluice_servicekit.errors import NotFound


class Engines:
    """One engine for each model server; kept while its spec stays."""

    def __init__(self, secrets_dir: Path | None) -> None:
        self._secrets_dir = secrets_dir
        self._engines: dict[str, tuple[ModelServerSpec, Engine]] = {}

    async def apply(self, specs: Mapping[str, ModelServerSpec]) -> None:
        """Takes over the model servers of a snapshot; all or none.

        Raises:
            FailedPrecondition: a secret cannot be read, or there is no tokenizer where one should be.
        """
        kept = {name: entry for name, entry in self._engines.items() if specs.get(name) == entry[0]}
        made = {
            name: (spec, engine)
            for name, spec in specs.items()
            if name not in kept and (engine := self._make(name, spec)) is not None
        }
        gone = [engine for name, (_, engine) in self._engines.items() if name not in kept]
        self._engines = {**kept, **made}
        for engine in gone:
            await engine.close()

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
        return self._engines[name][1]

    async def close(self) -> None:
        """Closes all engines."""
        for _, engine in self._engines.values():
            await engine.close()

    def _make(self, name: str, spec: ModelServerSpec) -> Engine | None:
        if spec.extractive is not None:
            return ExtractiveEngine(spec.extractive.max_sentences)
        if spec.external is not None:
            key = secrets.read(self._secrets_dir, spec.external.api_key_secret, f"model server {name!r}")
            tokenizer = LocalTokenizer(Path(spec.tokenizer)) if spec.tokenizer else None
            return OpenAiCompatibleEngine(spec.external.urls, spec.base_model, key, tokenizer=tokenizer)
        return None  # vLLM's pods are the operator's to start
