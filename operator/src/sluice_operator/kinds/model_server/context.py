"""What a pass over a model server depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice_api.statuses.model_server import ModelServerStatus
from sluice_operator.agents.views import PodView
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource


@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for all model servers of an operator."""

    agent_image: str
    """Of the adapter agent, where a server names none."""
    namespace: str
    """Where gateway, inference and operator run."""
    part_labels: Mapping[str, str] = field(default_factory=lambda: {"app.kubernetes.io/part-of": "sluice"})
    """Of their pods, besides `app.kubernetes.io/component`, which is `gateway`, `inference` and `operator`."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The Secrets that a spec names."""

    digest: str = ""
    """Of what they hold; empty where none is named, or not all are there."""
    missing: tuple[str, ...] = ()
    """Sentences."""


@dataclass(frozen=True, slots=True)
class Serving:
    """An adapter of the server, as it takes requests."""

    engine_names: frozenset[str]
    """Under which it may be asked for: of its revision, and of the one before while that stays loaded."""
    pods: Mapping[tuple[str, int], frozenset[str]]
    """By pod uid and restarts of its engine, the names that are loaded there."""
    everywhere: frozenset[str] = frozenset()
    """Uids of further pods that have the revision's name loaded."""
    engine_name: str = ""
    """Of the revision."""


@dataclass(frozen=True, slots=True)
class Context:
    """Gathered at a pass's start."""

    now: float
    """Seconds since the epoch."""
    settings: Settings
    status: ModelServerStatus
    """As the last pass left it."""
    told_at: float = 0.0
    """When it last said something new, in seconds since the epoch."""
    token: str = field(default="", repr=False)
    """The agent's, in base64: what the Secret has, else a new one."""
    secrets: Secrets = field(default_factory=Secrets)
    deployment: Manifest | None = None
    """As it is."""
    scaled: bool = False
    """The autoscaler has said how many pods there are."""
    taken: frozenset[tuple[Resource, str]] = frozenset()
    """Children whose names belong to others."""
    keda: bool = True
    """The cluster knows KEDA's objects."""
    pods: tuple[Manifest, ...] = ()
    """Of the server, by name."""
    agents: Mapping[str, PodView] = field(default_factory=dict)
    """By pod uid."""
    adapters: tuple[Serving, ...] = ()
