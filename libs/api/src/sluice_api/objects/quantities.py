"""Kubernetes' quantities, and what a container may use of them."""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from sluice_api.objects.base import Model

_QUANTITY = r"^[0-9]{1,16}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
_LONGEST = 32


def number_as_text(value: object) -> object:
    """`4` in YAML is the number that `"4"` means."""
    return f"{value}" if isinstance(value, int) and not isinstance(value, bool) else value


#: Kubernetes' quantity that is not negative, such as `500m`, `4` or `20Gi`.
Quantity = Annotated[
    str,
    BeforeValidator(number_as_text),
    Field(max_length=_LONGEST, pattern=_QUANTITY),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": _LONGEST, "pattern": _QUANTITY}),
]

#: The name of a resource, such as `cpu` or `nvidia.com/gpu`.
ResourceName = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$")
]

Amounts = Annotated[dict[ResourceName, Quantity], Field(max_length=16)]


class Resources(Model):
    """What a container is given, as in a pod's spec."""

    requests: Amounts = Field(default={})
    limits: Amounts = Field(default={})
