"""`ModelServer` (`msrv`): what writes the answers."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model, SluiceObject
from sluice_api.objects.cel import Rule, exactly_one_of
from sluice_api.objects.rules import exactly_one
from sluice_api.objects.vllm import Lora, Vllm

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


class Routing(Model):
    """How requests are spread over the replicas of a server; the embedded engine needs none of it."""

    max_in_flight: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Requests that one inference process sends a replica at once; vLLM's `--max-num-seqs` is a good number. What comes
    above it waits in Sluice, the most urgent first and fairly between tenants. Unset, nothing waits in Sluice."""
    max_queued: Annotated[int, Field(ge=0, le=65536)] = 1024
    """Requests that wait in one inference process; others are refused with 429."""
    attempts: Annotated[int, Field(ge=1, le=16)] = 3
    """Replicas that a request may be sent to, one after the other, while nothing of the answer has come."""
    imbalance: Annotated[float, Field(ge=0.0, le=10.0)] = 0.5
    """How much busier than the others, as a part of what they do on average, a replica may be and still get a request
    because it holds the adapter or has read the beginning of the prompt; 0 goes by load alone."""
    scrape_interval: Annotated[Duration, Field(ge=0.1, le=300.0)] = 1.0
    """Between two looks at a vLLM's `/health` and `/metrics`."""
    send_priority: bool = False
    """Sends vLLM each request's priority; needs its `--scheduling-policy priority`."""


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
    routing: Routing = Routing()

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of("extractive", "external", "vllm"),
        Rule(
            "has(self.extractive) || self.baseModel != ''",
            "baseModel must be set unless the engine is extractive",
            "_one",
            "baseModel",
        ),
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "extractive", "external", "vllm")
        if self.extractive is None and not self.base_model:
            raise ValueError("baseModel must be set unless the engine is extractive")
        return self

    @property
    def served(self) -> "ModelServerSpec":
        """What answers, and the requests for them, depend on: not how many pods there are, nor what they are given.
        So nothing that is kept by a pipeline's version goes when a server is scaled."""
        if self.vllm is None:
            return self
        return self.model_copy(update={"vllm": self.vllm.served})


class ModelServer(SluiceObject):
    """An engine that writes answers: embedded, somewhere else, or vLLM pods in this cluster."""

    KIND: ClassVar[str] = "ModelServer"
    SHORT_NAME: ClassVar[str] = "msrv"
    PLURAL: ClassVar[str] = "modelservers"

    spec: ModelServerSpec


__all__ = ["External", "Extractive", "Lora", "ModelServer", "ModelServerSpec", "Routing", "Url", "Vllm"]
