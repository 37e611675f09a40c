"""How often the built-in classifier takes harmless texts for attacks, by their length."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from guardrail_training.measuring import Share, reached
from guardrail_training.reading import Example, Role
from rich.progress import track

from sluice_guardrail.domain.classifying.classifier import Classifier
from sluice_guardrail.domain.model import Channel
from sluice_guardrail.domain.normalising.folding import fold

#: Characters, from and below.
BUCKETS = ((0, 200), (200, 800), (800, 2_000), (2_000, 8_000))
#: What a user pastes, or several things that a user writes at once; and documents.
_SOURCES = {
    Channel.USER: ("moderation", "wildguard"),
    Channel.DOCUMENT: ("bipia-test-contexts", "climate_fever"),
}
_MOST, _SEED = 300, 0


@dataclass(frozen=True, slots=True)
class Row:
    """One channel and length."""

    channel: Channel
    characters: tuple[int, int]
    joined: bool
    """Made of several texts."""
    flagged: Share
    blocked: Share


def lengths_table(classifier: Classifier, examples: Iterable[Example], most: int = _MOST) -> list[Row]:
    """Rows for harmless texts that neither weights nor calibration have seen: as they are, and several of them joined,
    since few are long."""
    apart = [each for each in examples if each.role is Role.EVALUATE and not each.attack]
    rows = []
    for channel, sources in _SOURCES.items():
        single = [each.text for each in apart if each.source in sources]
        pasted = [each.text for each in apart if each.source in sources or each.channel is Channel.DOCUMENT]
        for joined, texts in ((False, single), (True, list(_joined(pasted, most)))):
            for low, high in BUCKETS[2 * joined :]:
                chosen = [text for text in texts if low <= len(text) < high][:most]
                if chosen:
                    rows.append(_row(classifier, channel, (low, high), chosen, joined=joined))
    return rows


def _joined(texts: Sequence[str], most: int) -> Iterator[str]:
    """So many texts of each of the longer lengths."""
    choice = random.Random(_SEED)
    for low, high in BUCKETS[2:]:
        for _ in range(most):
            target, text = choice.randrange(low, high), ""
            while len(text) < target:
                text = f"{text}\n\n{choice.choice(texts)}".strip()
            yield text[: high - 1]


def _row(
    classifier: Classifier,
    channel: Channel,
    characters: tuple[int, int],
    texts: Sequence[str],
    *,
    joined: bool,
) -> Row:
    scores = np.array(
        [_score(classifier, channel, text) for text in track(texts, f"{channel}", transient=True)]
    )
    return Row(channel, characters, joined, reached(scores, 0.3), reached(scores, 0.5))


def _score(classifier: Classifier, channel: Channel, text: str) -> float:
    folded = fold(text)
    windows = [folded[span.start : span.end] for span in classifier.windows(folded)]
    return max(classifier.scores(windows, channel, [len(windows)] * len(windows)), default=0.0)
