"""Names of versions in engines."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import lru_cache

from sluice_operator.agents.views import AgentView, Version

_DIGITS = 10


def engine_name(model_name: str, version: Version) -> str:
    """The name of a version: no other files are ever loaded under it."""
    digest = hashlib.sha256((version.digest + version.config_digest).encode()).hexdigest()
    return f"{model_name}--{digest[:_DIGITS]}"


def alias_of(name: str) -> str:
    """The alias that a versioned name belongs to; empty where it is none."""
    found = _pattern().fullmatch(name)
    return found["alias"] if found else ""


def listed_of(alias: str, agent: AgentView) -> Iterable[str]:
    """The versioned names of an alias that an engine lists. Asked of every pod in every pass, of engines that list a
    thousand others."""
    if agent.aliases is not None:
        return agent.aliases.get(alias, ())
    return (name for name in agent.loaded if alias_of(name) == alias)


def listed_beyond(aliases: AbstractSet[str], agent: AgentView) -> int:
    """How many names an engine lists that belong to none of the aliases."""
    if agent.aliases is not None:
        return sum(len(agent.aliases[alias]) for alias in agent.aliases.keys() - aliases)
    return sum(1 for name in agent.loaded if alias_of(name) not in aliases)


def by_alias(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Names by the alias that they belong to; by the empty one those that are nobody's."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[alias_of(name)].append(name)
    return {alias: tuple(there) for alias, there in found.items()}


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    return re.compile(rf"(?P<alias>.+)--[0-9a-f]{{{_DIGITS}}}")
