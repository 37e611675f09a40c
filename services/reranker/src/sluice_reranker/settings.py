"""What the reranker can be told."""

from typing import Annotated

from pydantic import Field

from sluice_servicekit.settings import ServiceSettings


class RerankerSettings(ServiceSettings):
    """Settings of the reranker."""

    rerank_workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Processes that read with each model that is run here, one core each; as many as there are cores when 0."""
    rerank_pinned: bool = True
    """Whether each of them stays on a core of its own."""
    rerank_waiting: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Requests that may wait for the processes of a model; more are refused at once."""
