"""Places logits on the scale, by harmless texts that were not trained on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice_guardrail.domain.classifying.scale import ANCHORS, MOST_WINDOWS, Scale, grown
from sluice_guardrail.domain.model import Channel

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

#: Lengths that weigh the same, in windows, and texts that are drawn for each. Long ones are several texts joined: few
#: users' texts at hand are long, and the worst window decides, so that it does not matter where they are joined.
_LENGTHS = tuple(1 << power for power in range(MOST_WINDOWS.bit_length()))
_DRAWN, _SEED = 4000, 0
#: How far from a length a joined text may be.
_LEAST, _LONGEST = 0.75, 1.5
#: Of growth, what is tried; and the shares of texts above whose logits it is to describe.
_GROWTHS = np.arange(0.0, 3.01, 0.05)
_SHARES = (0.05, 0.01)
#: How much of its growth a channel's scale takes away; all where none is given. Jailbreaks are longer than what users
#: ask: all of it would cost half of the recall on those left out, the first 0.4 halves false alarms for a sixth.
_PARTS = {Channel.USER: 0.4}
#: Channels whose anchors lie where joined texts of all lengths have them: the documents at hand are of one length, some
#: five windows, and anchors of theirs alone would be too low for a single line.
_JOINED = frozenset({Channel.DOCUMENT})
#: The tail above this share of texts is taken as exponential: one in a thousand is too rare to be counted.
_TAIL = 0.02


@dataclass(frozen=True, slots=True)
class Harmless:
    """Harmless texts of a channel, in arrays of shape (texts,)."""

    logits: Floats
    """Of the highest window."""
    totals: Indices
    """Windows."""
    sources: npt.NDArray[np.str_]


def calibrated(harmless: Harmless, channel: Channel) -> Scale:
    """The scale of a channel, on which long texts reach a score as rarely as short ones, or nearly so."""
    growth = round(_PARTS.get(channel, 1.0) * growth_of(harmless), 4)
    logits, totals = joined(harmless) if channel in _JOINED else (harmless.logits, harmless.totals)
    places = anchors((logits - growth * grown(totals)).astype(np.float32))
    return Scale(tuple(round(place, 4) for place in places), growth)


def growth_of(harmless: Harmless) -> float:
    """By how much the logit that a share of harmless texts reaches grows with the logarithm of their windows."""
    logits, totals = joined(harmless)
    logarithms = grown(totals)
    return float(min(_GROWTHS, key=lambda each: _loss(logits - each * logarithms)))


def anchors(logits: Floats) -> list[float]:
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
    return [float(place) for place in np.maximum.accumulate(places)]


def joined(harmless: Harmless) -> tuple[Floats, Indices]:
    """As many texts of each length: their logits and their numbers of windows. A source of n texts weighs as the root
    of n, so that the largest does not decide alone."""
    _, places, counts = np.unique(harmless.sources, return_inverse=True, return_counts=True)
    weights = counts.astype(np.float64)[places] ** -0.5
    choice = np.random.default_rng(_SEED)
    drawn = [_drawn(harmless, weights, length, choice) for length in _LENGTHS]
    return np.concatenate([logits for logits, _ in drawn]), np.concatenate([totals for _, totals in drawn])


def _drawn(
    harmless: Harmless, weights: Doubles, length: int, choice: np.random.Generator
) -> tuple[Floats, Indices]:
    """Texts of about a length, each of one or more that are not longer."""
    fitting = np.flatnonzero(harmless.totals <= _LONGEST * length)
    best = np.full(_DRAWN, -np.inf, np.float32)
    totals = np.zeros(_DRAWN, np.intp)
    if not len(fitting):
        return best[:0], totals[:0]
    share = weights[fitting] / weights[fitting].sum()
    for _ in range(length):  # enough where each has one window
        chosen = choice.choice(fitting, _DRAWN, p=share)
        taken = (totals < _LEAST * length) & (totals + harmless.totals[chosen] <= _LONGEST * length)
        best[taken] = np.maximum(best[taken], harmless.logits[chosen][taken])
        totals[taken] += harmless.totals[chosen][taken]
    return best[totals > 0], totals[totals > 0]


def _loss(logits: Doubles) -> float:
    """Pinball loss at the quantiles: least where they are the same at every length."""
    total = 0.0
    for share in _SHARES:
        above = logits - np.quantile(logits, 1 - share)
        total += float(np.maximum((1 - share) * above, -share * above).mean()) / share**0.5
    return total
