"""Answers that are given again, and requests that share one run."""

from typing import Annotated

from pydantic import Field

from sluice_api.objects.base import Duration, Model

_Entries = Annotated[int, Field(ge=1, le=100_000)]


class ExactCache(Model):
    """Gives an answer again to the same request."""

    ttl: Duration = 300.0
    """How old an answer may be."""
    max_entries: _Entries = 1000
    """Answers kept by one gateway; the longest unused goes first."""


class SemanticCache(Model):
    """Gives an answer again to a question of one turn that is worded otherwise and asks the same: its vector is near,
    and its numbers, names, negations and content words are those of the question that was answered."""

    threshold: Annotated[float, Field(ge=0.8, le=1.0)] = 0.95
    """The cosine of the two questions' vectors, at least."""
    ttl: Duration = 300.0
    """How old an answer may be."""
    max_entries: _Entries = 1000
    """Answers kept by one gateway; the longest unused goes first."""


class AnswerCache(Model):
    """Off unless a pipeline says so. Nothing is ever shared between tenants, ACLs, versions of the pipeline, arms of an
    experiment, or over a write to a knowledge base."""

    coalesce: bool = False
    """Identical requests that are in flight together share one run."""
    exact: ExactCache | None = None
    """Answers to the same request."""
    semantic: SemanticCache | None = None
    """Answers to the same question in other words."""
    sampled: bool = False
    """Also keeps answers that may come out otherwise the next time: those of a model that was not asked for
    `temperature: 0`. What an extractive server writes is always the same."""

    @property
    def keeps(self) -> bool:
        """True where answers are kept."""
        return self.exact is not None or self.semantic is not None
