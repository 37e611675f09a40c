"""What is known of the adapter agents, as plans read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Version:
    """Which files: an adapter's identity, whatever its name."""

    digest: str
    """Of the weights, `sha256:` and hex."""
    config_digest: str
    """Of the configuration."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """An adapter's files, checked by an agent."""

    version: Version
    origin: str
    rank: int
    base_model: str
    target_modules: tuple[str, ...]
    size_bytes: int
    warnings: tuple[str, ...] = ()
    """Sentences."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something did not work."""

    reason: str
    """The agent's stable word, such as `DIGEST_MISMATCH`."""
    message: str
    permanent: bool = False
    """The same will fail again until a person changes something."""


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent's last word on itself and its vLLM."""

    reachable: bool
    """The agent answers."""
    engine_reachable: bool = False
    trouble: Trouble | None = None
    """Why agent or engine cannot be used."""
    models: tuple[str, ...] = ()
    """The base model's names, as the engine lists them; empty while that is not known."""
    loaded: Mapping[str, Version | None] = field(default_factory=dict)
    """What vLLM lists, by name; no version where the folder is none of the agent's."""
    aliases: Mapping[str, tuple[str, ...]] | None = field(default=None, compare=False)
    """The names of `loaded` by the alias that they belong to, the empty one where it is none; where they are sorted."""
    here: frozenset[Version] = frozenset()
    """Whose files lie there, checked."""
    at: float = 0.0
    """Seconds since the epoch when it was asked: what ended later is not in it. 0 where calls that end are added to it
    at once."""


@dataclass(frozen=True, slots=True)
class PodView:
    """A replica of a model server and its agent."""

    uid: str
    name: str
    address: str
    """The pod's IP."""
    restarts: int
    """Of the engine's container; a restarted one has nothing loaded."""
    ready: bool
    """The engine answers, by its readiness probe."""
    leaving: bool
    """It is being deleted."""
    node: str = ""
    agent: AgentView | None = None
    """Nothing yet where it has not been asked."""
