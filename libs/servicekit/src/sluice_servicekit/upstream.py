"""What HTTP servers that are asked say when they do not answer."""

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

_MOST_CHARACTERS = 500


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the header of that name asks to wait (RFC 9110, 10.2.3); None where it says nothing that can be
    read. Names are lower-case, or the mapping does not mind case."""
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None


def message(body: Any) -> str:
    """The message of a nested or a flat error body."""
    found = body.get("error", body) if isinstance(body, dict) else body
    return str(found.get("message", found) if isinstance(found, dict) else found)[:_MOST_CHARACTERS]
