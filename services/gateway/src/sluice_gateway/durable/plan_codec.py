"""A run's plan as it is kept: all that its execution depends on, so that another execution goes the same way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice_gateway.domain.model import Decision
from sluice_gateway.domain.planning import RunPlan
from sluice_gateway.domain.run import Origin
from sluice_gateway.durable import codec


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan, and where the run comes from."""

    plan: RunPlan
    """Holds the compiled pipeline with its version and limits of time, the canary, who asks and what."""
    pins: Mapping[str, Decision] = field(default_factory=dict)
    """Gates' decisions that a person has turned."""
    seed: Mapping[str, str] = field(default_factory=dict)
    """Steps that need not run, and the names of the payloads that hold their outputs."""
    origin: Origin | None = None


def encode(kept: KeptPlan) -> bytes:
    """The plan as bytes."""
    return codec.encode((kept.plan, dict(kept.pins), dict(kept.seed), kept.origin))


def decode(content: bytes) -> KeptPlan:
    """The plan.

    Raises:
        CodecError: another version wrote it, and this one cannot read it.
    """
    return KeptPlan(*codec.decode(content))
