"""What a pass over an experiment depends on."""

from collections.abc import Mapping
from dataclasses import dataclass

from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline
from sluice_api.statuses.adapter_experiment import AdapterExperimentStatus
from sluice_operator.outcomes.protocol import Report


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The objects of the experiment's namespace that it has to do with."""

    server: ModelServer | None
    adapters: Mapping[str, LoRAAdapter]
    experiments: tuple[AdapterExperiment, ...] = ()
    """All others."""
    older: frozenset[str] = frozenset()
    """Names of those among them that were made before it."""
    pipelines: tuple[Pipeline, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """The last look at what the arms have shown."""

    at: float
    since: float
    """From when on runs were asked for, in seconds since the epoch."""
    report: Report | None = None
    reason: str = ""
    """Where there is no report: why, a reason of `Analysed`."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """Gathered at a pass's start."""

    now: float
    """Seconds since the epoch."""
    status: AdapterExperimentStatus
    """As the last pass left it."""
    around: Surroundings
    look: Look | None
    rewrites: bool = False
    """Whether the cluster knows `InferenceModelRewrite`."""
