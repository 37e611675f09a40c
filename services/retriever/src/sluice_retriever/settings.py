"""What the retriever can be told."""

from typing import Annotated

from pydantic import Field

from sluice_servicekit.settings import ServiceSettings


class RetrieverSettings(ServiceSettings):
    """Settings of the retriever."""

    search_threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of the engine's search pool."""
    question_threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Questions encoded at the same time, each on one thread."""
    ingestion_threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads of one forward pass at ingestion."""
