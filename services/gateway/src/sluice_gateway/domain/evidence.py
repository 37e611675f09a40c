"""Whether passages carry an answer, by what of the question they hold. Pure, and cheap: words, no model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sluice_api.objects.rounds import Enough
from sluice_gateway.domain.model import Passage
from sluice_gateway.domain.splitting import parts
from sluice_lexical.words import terms

#: Scripts without blanks are compared by pairs of characters.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What passages hold of a question. More passages never hold less."""

    passages: int
    best: float
    """The highest score; 0 where there is no passage."""
    by_part: tuple[float, ...]
    """Of each question that is asked, the share of its words that the passages hold together, 0 to 1."""

    @property
    def coverage(self) -> float:
        """Of the part that fares worst."""
        return min(self.by_part)

    def short_of(self, enough: Enough) -> tuple[str, ...]:
        """The measures that are not reached, by their names in `rounds.enough`; empty where there is enough."""
        reached = {
            "coverage": self.coverage >= enough.coverage,
            "passages": self.passages >= enough.passages,
            "score": self.best >= enough.score,
        }
        return tuple(name for name, is_reached in reached.items() if not is_reached)


def asked_in(question: str) -> tuple[str, ...]:
    """The questions that a question asks: its parts, or itself."""
    return parts(question) or (question,)


def weigh(question: str, passages: Sequence[Passage]) -> Evidence:
    """The evidence for an answer."""
    held = frozenset[str]().union(*(content(f"{passage.title}\n{passage.text}") for passage in passages))
    wanted = [content(part) for part in asked_in(question)]
    by_part = tuple(len(words & held) / len(words) if words else 1.0 for words in wanted)
    return Evidence(len(passages), max((passage.score for passage in passages), default=0.0), by_part)


def content(text: str) -> frozenset[str]:
    """The stemmed content words of a text, names and numbers among them; pairs of characters where no blanks part the
    words."""
    spaced = (term for term in terms(_UNSPACED.sub(" ", text)))
    runs = _UNSPACED.findall(text)
    return frozenset(spaced) | {run[at : at + 2] for run in runs for at in range(max(1, len(run) - 1))}
