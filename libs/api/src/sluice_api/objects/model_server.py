"""`ModelServer` (`msrv`): what writes the answers."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Model, SluiceObject
from sluice_api.objects.rules import exactly_one

Url = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]


class Extractive(Model):
    """The embedded engine: quotes the sentences that answer best, with citations. Needs no model."""

    max_sentences: Annotated[int, Field(ge=1, le=20)] = 4


class External(Model):
    """OpenAI-compatible servers, such as vLLM, that run elsewhere."""

    urls: Annotated[tuple[Url, ...], Field(min_length=1, max_length=256)]
    """Base URLs, ending in `/v1`."""
    api_key_secret: Annotated[str, Field(max_length=253)] = ""
    """Name of a Secret (or of a file in the secrets directory) that holds the API key."""


class Lora(Model):
    """vLLM's LoRA slots."""

    max_loras: Annotated[int, Field(ge=1, le=1024)] = 4
    """Adapters in one batch."""
    max_cpu_loras: Annotated[int, Field(ge=1, le=4096)] = 16
    """Adapters held in memory."""
    max_lora_rank: Annotated[int, Field(ge=1, le=512)] = 16


class Vllm(Model):
    """vLLM pods that Sluice runs; needs a cluster."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    args: Annotated[tuple[str, ...], Field(max_length=128)] = ()
    gpu: Annotated[int, Field(ge=0, le=16)] = 1
    lora: Lora | None = None


class ModelServerSpec(Model):
    """Exactly one engine, and the model it serves."""

    base_model: Annotated[str, Field(max_length=512)] = ""
    """The model's name as the engine knows it; not needed for `extractive`."""
    tokenizer: Annotated[str, Field(max_length=4096)] = ""
    """The model's `tokenizer.json`, or the folder that holds it, where inference runs: prompts are counted by it. When
    empty, by the server, where it has `/tokenize` as vLLM does, else by an estimate that learns."""
    extractive: Extractive | None = None
    external: External | None = None
    vllm: Vllm | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "extractive", "external", "vllm")
        if self.extractive is None and not self.base_model:
            raise ValueError("baseModel must be set unless the engine is extractive")
        return self


class ModelServer(SluiceObject):
    """An engine that writes answers: embedded, somewhere else, or vLLM pods in this cluster."""

    KIND: ClassVar[str] = "ModelServer"
    SHORT_NAME: ClassVar[str] = "msrv"
    PLURAL: ClassVar[str] = "modelservers"

    spec: ModelServerSpec
