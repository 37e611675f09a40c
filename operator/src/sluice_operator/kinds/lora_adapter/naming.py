"""Names of versions in engines."""

import hashlib
import re
from functools import lru_cache

from sluice_operator.agents.views import Version

_DIGITS = 10


def engine_name(model_name: str, version: Version) -> str:
    """The name of a version: no other files are ever loaded under it."""
    digest = hashlib.sha256((version.digest + version.config_digest).encode()).hexdigest()
    return f"{model_name}--{digest[:_DIGITS]}"


def alias_of(name: str) -> str:
    """The alias that a versioned name belongs to; empty where it is none."""
    found = _pattern().fullmatch(name)
    return found["alias"] if found else ""


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    return re.compile(rf"(?P<alias>.+)--[0-9a-f]{{{_DIGITS}}}")
