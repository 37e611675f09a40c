"""Rounds of retrieval: what a pipeline does when the evidence is thin."""

from typing import Annotated

from pydantic import Field

from sluice_api.objects.base import Model


class Rounds(Model):
    """Looks again, with the question rewritten or split, where what was found does not carry an answer."""

    max_rounds: Annotated[int, Field(ge=1, le=5)] = 1
    """Times that passages are looked for; 1 never looks again."""
