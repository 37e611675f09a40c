"""What `kubectl get` shows of each kind."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column."""

    name: str
    path: str
    """A JSONPath into the object."""
    type: str = "string"
    description: str = ""
    wide: bool = False
    """Shown with `-o wide` alone."""

    @property
    def manifest(self) -> dict[str, Any]:
        """As a definition says it."""
        shown: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.description:
            shown["description"] = self.description
        return shown | ({"priority": 1} if self.wide else {})


def _of_ready(name: str, field: str, description: str, *, wide: bool = False) -> Column:
    return Column(name, f'.status.conditions[?(@.type=="Ready")].{field}', description=description, wide=wide)


READY = _of_ready("Ready", "status", "Whether all is as it should be.")
REASON = _of_ready("Reason", "reason", "Why; the reference says what to do.")
MESSAGE = _of_ready("Message", "message", "The same in words.", wide=True)
AGE = Column("Age", ".metadata.creationTimestamp", "date")

_IN_FORCE = Column(
    "In force", ".status.snapshot.acknowledged", description="Services that have it, of those that should."
)
_VERSION = Column("Version", ".status.version", description="Of what the services are given.")

#: The columns that a kind has besides `READY`, `REASON`, `MESSAGE` and `AGE`.
OWN: dict[str, tuple[Column, ...]] = {
    "ModelServer": (
        Column("Model", ".spec.baseModel", description="The base model; none where the engine is embedded."),
        Column("Replicas", ".status.ready", description="Pods whose vLLM answers, of those there should be."),
        Column("Image", ".spec.vllm.image", description="Of vLLM, where Sluice runs it.", wide=True),
    ),
    "LoRAAdapter": (
        Column("Model", ".spec.modelName", description="The alias that clients send."),
        Column("Server", ".spec.modelServerRef", description="The ModelServer that loads it."),
        Column("Loaded", ".status.loaded", description="Pods that have it, of those that should."),
        Column("Revision", ".spec.revision", description="The version's label.", wide=True),
        Column("Digest", ".status.resolved.digest", description="Of the weights.", wide=True),
    ),
    "AdapterExperiment": (
        Column("Model", ".spec.modelName", description="The alias whose traffic is split."),
        Column("Phase", ".status.phase", description="How far it is."),
        Column("Promoted", ".status.promoted", description="The arm that has won."),
    ),
    "KnowledgeBase": (),
    "TenantShard": (
        Column("Knowledge base", ".spec.knowledgeBaseRef"),
        Column("Tenant", ".spec.tenantId"),
        Column("Tier", ".spec.tier", description="Where the tenant's points shall live."),
    ),
    "GuardrailPolicy": (_VERSION, _IN_FORCE),
    "Pipeline": (_VERSION, _IN_FORCE),
}


def columns(kind: str) -> tuple[Column, ...]:
    """The columns of a kind, in order."""
    return (*OWN[kind], READY, REASON, MESSAGE, AGE)
