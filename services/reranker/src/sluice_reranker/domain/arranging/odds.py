"""Probabilities as the logarithms of their odds, and back."""

import math

#: Nearer to 0 and 1 no score is believed, so that none can outvote all others.
_SUREST = 1e-6


def log_odds(probability: float) -> float:
    """Of a probability; 0 and 1 are taken for a millionth less sure."""
    kept = min(1.0 - _SUREST, max(_SUREST, probability))
    return math.log(kept / (1.0 - kept))


def probability(odds: float) -> float:
    """The probability of these log-odds."""
    if odds >= 0:
        return 1.0 / (1.0 + math.exp(-odds))
    grown = math.exp(odds)
    return grown / (1.0 + grown)
