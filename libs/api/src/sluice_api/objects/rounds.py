"""Rounds of retrieval: what a pipeline does when the evidence is thin."""

from typing import Annotated

from pydantic import Field

from sluice_api.objects.base import Model


class Enough(Model):
    """What passages have to hold, so that the question is answered from them. docs/pipelines.md says how the defaults
    were found."""

    coverage: Annotated[float, Field(ge=0.0, le=1.0)] = 0.8
    """The least share of the content words, names and numbers of the question, or of the part of it that fares worst,
    that the passages hold together."""
    passages: Annotated[int, Field(ge=0, le=100)] = 1
    """The fewest passages."""
    score: Annotated[float, Field(ge=0.0)] = 0.0
    """The least score of the best passage, on the reranker's scale; the embedded reranker's says little."""


class Rounds(Model):
    """Looks again, with the question rewritten or split, where what was found does not carry an answer."""

    max_rounds: Annotated[int, Field(ge=1, le=5)] = 1
    """Times that passages are looked for; 1 never looks again."""
    max_queries: Annotated[int, Field(ge=1, le=8)] = 4
    """The most questions that a further round looks for at once."""
    enough: Enough = Enough()
