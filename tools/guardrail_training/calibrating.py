"""Places logits on the scale, by harmless texts that were not trained on."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sluice_guardrail.domain.classifying.scale import ANCHORS, Scale
from sluice_guardrail.domain.model import Channel

Floats = npt.NDArray[np.float32]

#: A document is read as several windows, and the worst decides: half of the texts are so many joined, so that the
#: scale holds for long documents too.
_JOINED, _SEED = 6, 0
#: The tail above this share of texts is taken as exponential: one in a thousand is too rare to be counted.
_TAIL = 0.02
_LONG = frozenset({Channel.DOCUMENT, Channel.TOOL})


def calibrated(harmless: Mapping[Channel, Floats]) -> dict[Channel, Scale]:
    """A scale for each channel, from the logits of its harmless texts."""
    return {
        channel: scale(with_long_ones(logits) if channel in _LONG else logits)
        for channel, logits in harmless.items()
    }


def scale(logits: Floats) -> Scale:
    """Where the anchors' shares of the logits lie."""
    start = float(np.quantile(logits, 1 - _TAIL))
    above = logits[logits > start]
    slope = float((above - start).mean()) if len(above) else 0.0
    places = [
        float(np.quantile(logits, 1 - share))
        if share > _TAIL
        else start + slope * float(np.log(_TAIL / share))
        for share, _ in ANCHORS
    ]
    return Scale(tuple(round(float(place), 4) for place in np.maximum.accumulate(places)))


def with_long_ones(logits: Floats) -> Floats:
    """The texts, and as many that are several of them joined."""
    drawn = np.random.default_rng(_SEED).integers(0, len(logits), (len(logits), _JOINED))
    return np.concatenate([logits, logits[drawn].max(axis=1)])
