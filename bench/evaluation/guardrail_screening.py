"""Labelled texts through a policy as a whole, as the service screens them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from guardrail_training.measuring import Share, area, reached, threshold
from guardrail_training.reading import Example, Role, spaced
from rich.progress import track

from sluice_guardrail.domain.model import Channel, Decision, Reason, Segment
from sluice_guardrail.domain.screening import Screener

Scores = npt.NDArray[np.float64]

#: What an attack may be told by; personal data in a text makes it none.
_ATTACK = frozenset({Reason.PROMPT_INJECTION, Reason.DOCUMENT_INJECTION})
#: Sources that no weight was fitted on. Those that calibrate have placed the scale, and are marked.
_MEASURED = frozenset({Role.EVALUATE, Role.CALIBRATE})


@dataclass(frozen=True, slots=True)
class Source:
    """What a policy makes of one source's texts."""

    name: str
    channel: Channel
    attack: bool
    role: Role
    scores: Scores
    blocked: Share
    flagged: Share
    """Blocked ones among them."""


def screened(screener: Screener, examples: Iterable[Example], most: int) -> list[Source]:
    """Each source that was not trained on, at most so many texts of it, evenly spaced."""
    by_source: dict[str, list[Example]] = {}
    for example in examples:
        if example.role in _MEASURED and example.channel is not Channel.OUTPUT:
            by_source.setdefault(example.source, []).append(example)
    return [_source(screener, name, spaced(texts, most)) for name, texts in by_source.items()]


def _source(screener: Screener, name: str, examples: Sequence[Example]) -> Source:
    scores, decisions = [], []
    for example in track(examples, name, transient=True):
        verdict = screener.screen_input([Segment(example.channel, "user", example.text)])
        scores.append(verdict.score)
        decisions.append(
            max(
                (each.decision for each in verdict.findings if each.reason in _ATTACK), default=Decision.ALLOW
            )
        )
    first = examples[0]
    return Source(
        name,
        first.channel,
        first.attack,
        first.role,
        np.array(scores),
        reached(np.array(decisions, np.float64), float(Decision.BLOCK)),
        reached(np.array(decisions, np.float64), float(Decision.FLAG)),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """An attack source beside all harmless texts of its channel."""

    source: Source
    area: float
    at_one_percent: Share


def found(sources: Sequence[Source]) -> list[Found]:
    """For each source of attacks. NotInject, XSTest and WildGuard are no ordinary traffic, and stand apart."""
    rows = []
    for source in sources:
        harmless = [
            each.scores
            for each in sources
            if not each.attack and each.channel is source.channel and each.role is Role.CALIBRATE
        ]
        if source.attack and harmless:
            ordinary = np.concatenate(harmless)
            at = reached(source.scores, threshold(ordinary, 0.01))
            rows.append(Found(source, area(source.scores, ordinary), at))
    return rows
