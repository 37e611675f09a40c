"""What a further round looks for, by rules. Pure.

What the rules are worth was measured, see docs/pipelines.md. Looking for the words alone that no passage holds was
tried too, and only made the order worse.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sluice_gateway.domain.evidence import Evidence, asked_in
from sluice_gateway.domain.model import Passage
from sluice_gateway.domain.splitting import trimmed

#: Characters of a title that are put behind a question.
_TITLE = 200


class How(StrEnum):
    """Where the questions of a further round come from."""

    REWRITE = "rewrite"
    """The engine that rewrites questions."""
    SPLIT = "split"
    """The parts of a question that asks several things."""
    TRIM = "trim"
    """The question without what leads to it."""
    TITLE = "title"
    """The part that fares worst, with the title of the best passage."""


@dataclass(frozen=True, slots=True)
class Look:
    """One search of a round."""

    query: str
    question: str
    """What the passages are ranked by; `query`, or the question that `query` only widens."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The searches of a round."""

    how: How
    looks: tuple[Look, ...]


def next_looks(
    question: str, evidence: Evidence, passages: Sequence[Passage], asked: Collection[str], most: int
) -> Looks | None:
    """What to look for after what was `asked`; None where the rules know nothing new."""
    asked_parts = asked_in(question)
    if len(asked_parts) > 1 and (new := [part for part in asked_parts if part not in asked]):
        worst_first = sorted(new, key=lambda part: evidence.by_part[asked_parts.index(part)])
        kept = set(worst_first[:most])
        return Looks(How.SPLIT, tuple(Look(part, part) for part in new if part in kept))
    worst = asked_parts[evidence.by_part.index(evidence.coverage)]
    if (short := trimmed(worst)) not in asked:
        return Looks(How.TRIM, (Look(short, short),))
    for passage in passages[:1]:
        query = f"{worst} {passage.title[:_TITLE]}".strip()
        if query not in asked and query != worst:
            return Looks(How.TITLE, (Look(query, worst),))
    return None
