"""When the time of something is over that is kept for so long from now on."""

import math

_STEPS = 32


def expires_after(now: float, seconds: float) -> float:
    """Epoch seconds; up to a thirty-second of the time earlier than it would be, and never later.

    In steps, so that what is told again soon after keeps the time that it has: to note another one costs a write.

    Args:
        now: Epoch seconds.
        seconds: How long it is kept.
    """
    step = seconds / _STEPS
    return math.floor((now + seconds) / step) * step if step else now
