"""Parts of a pod that several fields of a `ModelServer` are made of."""

import json
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, JsonValue, model_validator

from sluice_api.objects.base import Model, Name
from sluice_api.objects.cel import Rule, at_most_one_of
from sluice_api.objects.quantities import Quantity
from sluice_api.objects.rules import at_most_one

#: Bytes of a pod template's patch, as JSON.
MAX_POD_TEMPLATE: Final = 65536

SecretName = Annotated[str, Field(max_length=253, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")]
Label = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
Labels = Annotated[dict[Annotated[str, Field(min_length=1, max_length=317)], Label], Field(max_length=16)]
Folder = Annotated[
    str, Field(max_length=1024, pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$")
]


class SecretKey(Model):
    """One key of a Secret."""

    name: Name
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


class ValueFrom(Model):
    """Where a variable's value comes from; anything else than a Secret goes into `podTemplate`."""

    secret_key_ref: SecretKey


class Variable(Model):
    """A variable of a container's environment, as in a pod's spec."""

    LIST_KEYS: ClassVar[tuple[str, ...]] = ("name",)

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")]
    value: Annotated[str, Field(max_length=32768)] | None = None
    value_from: ValueFrom | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (at_most_one_of("value", "valueFrom"),)

    @model_validator(mode="after")
    def _one(self) -> Self:
        return at_most_one(self, "value", "valueFrom")


Variables = Annotated[tuple[Variable, ...], Field(max_length=128)]


def free_variables(reserved: Sequence[str]) -> Rule:
    """For the validator `_variables_are_free`; that names differ is said by the list's key."""
    names = ", ".join(f"'{name}'" for name in reserved)
    return Rule(
        f"!self.env.exists(each, each.name in [{names}])",
        f"env must not have what Sluice sets: {', '.join(reserved)}; where there is a field for it, use that",
        "_variables_are_free",
        "env",
    )


def check_free(env: Sequence[Variable], reserved: Sequence[str]) -> None:
    """The same for pydantic.

    Raises:
        ValueError: a name is reserved, or stands there twice.
    """
    names = [each.name for each in env]
    if taken := [name for name in names if name in reserved]:
        raise ValueError(
            f"env must not have {taken[0]}, which Sluice sets; where there is a field for it, use that"
        )
    if len(set(names)) != len(names):
        raise ValueError("the names of variables must differ")


class Weights(Model):
    """A folder on a claim that holds the base model, as a hub's repository does."""

    claim_name: Name
    path: Folder = ""
    """The folder on it; the claim's root when empty."""


class Cache(Model):
    """Where vLLM keeps what it fetches and compiles: a claim, or a volume that goes with the pod."""

    claim_name: Name | None = None
    """Of several replicas all must be able to mount it (`ReadWriteMany`)."""
    size_limit: Quantity | None = None
    """The most that a volume of the pod may hold; the node's own limit when unset."""

    RULES: ClassVar[tuple[Rule, ...]] = (at_most_one_of("claimName", "sizeLimit"),)

    @model_validator(mode="after")
    def _one(self) -> Self:
        return at_most_one(self, "claimName", "sizeLimit")


class Peer(Model):
    """Pods that may reach vLLM besides Sluice's own."""

    namespace_labels: Labels = Field(default={})
    """Of their namespace; the server's own namespace when empty."""
    pod_labels: Labels = Field(default={})
    """Of the pods; all of them when empty."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.namespaceLabels) + size(self.podLabels) > 0",
            "one of namespaceLabels, podLabels must be set",
            "_some",
        ),
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.namespace_labels and not self.pod_labels:
            raise ValueError("one of namespaceLabels, podLabels must be set")
        return self


class PodMetadata(Model):
    """Further labels and annotations of the pods."""

    labels: Labels = Field(default={})
    annotations: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=317)], Annotated[str, Field(max_length=32768)]],
        Field(max_length=64),
    ] = Field(default={})


class PodTemplate(Model):
    """A patch of the pods, merged as `kubectl patch` does it (a strategic merge): containers, volumes and variables by
    their names, mounts by their paths."""

    metadata: PodMetadata = PodMetadata()
    spec: Annotated[dict[str, JsonValue], Field(max_length=64)] = Field(default={})
    """Of a pod, such as `nodeSelector` and `tolerations`. vLLM's container is `vllm`, the agent's `adapter-agent`."""

    @model_validator(mode="after")
    def _small(self) -> Self:
        if len(json.dumps(self.spec)) > MAX_POD_TEMPLATE:
            raise ValueError(f"podTemplate.spec must not be more than {MAX_POD_TEMPLATE} bytes of JSON")
        return self
