"""Answers that are given again, and requests that share one run."""

from sluice_api.objects.base import Model


class AnswerCache(Model):
    """Off unless a pipeline says so."""

    coalesce: bool = False
    """Identical requests that are in flight together share one run."""
