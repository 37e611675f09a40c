"""What the retriever can be told."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sluice_servicekit import cores
from sluice_servicekit.fetching.policy import Policy
from sluice_servicekit.settings import ServiceSettings


class RetrieverSettings(ServiceSettings):
    """Settings of the retriever."""

    search_threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of the engine's search pool."""
    question_threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Questions encoded at the same time, each on one thread."""
    ingestion_threads: Annotated[int, Field(ge=1, le=64)] = Field(default_factory=cores.available)
    """Chunks are encoded on so many threads; by default one for each core that the cgroup grants."""
    parser_processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that parse and cut documents."""
    parser_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """How long one document may take to be parsed and cut."""
    parser_memory_mib: Annotated[int, Field(ge=256, le=1 << 20)] = 1024
    """What one of these processes may hold."""
    fetch: str = "public"
    """Where documents may be fetched from: `off`, or a list parted by commas of `public` (any address of the public
    internet), host names (`*.example.com` for all below), addresses and networks."""
    fetch_ports: str = "80,443"
    """The ports that such a URL may name."""
    fetch_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """How long one document may take to be fetched."""
    fetch_concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Documents fetched at the same time."""
    sweep_seconds: Annotated[float, Field(gt=0, le=86400)] = 300.0
    """How often expired documents are removed; they are not found from the moment on that they expire."""

    @property
    def fetch_policy(self) -> Policy:
        """`fetch` and `fetch_ports`."""
        return Policy.parse(self.fetch, self.fetch_ports)

    @model_validator(mode="after")
    def _can_be_told(self) -> Self:
        _ = self.fetch_policy
        return self
