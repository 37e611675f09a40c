"""Rules between fields as the API server checks them, in the Common Expression Language (CEL). Each model declares its
own beside the validator that says the same to pydantic."""

from dataclasses import dataclass
from typing import Any

#: Of a list's JSON Schema, beside its bounds: no item stands in it twice, and their order says nothing.
SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a model. https://kubernetes.io/docs/reference/using-api/cel"""

    cel: str
    """True where the object may be so; `self` is the model, `oldSelf` what it was before an update."""
    message: str
    """What is wrong, and what to do."""
    validator: str = ""
    """The method of the model by which pydantic says the same; none where the rule looks at what was before, which
    pydantic never sees."""
    field: str = ""
    """The field to blame, in its wire name; the whole model when empty."""
    forbidden: bool = False
    """True where a value would be good, but not now."""

    @property
    def is_transition(self) -> bool:
        """True where it compares an update with what was before."""
        return "oldSelf" in self.cel


def exactly_one_of(*fields: str) -> Rule:
    """Exactly one of the fields (in wire names) is set; for the validator `_one`."""
    return Rule(f"{_set(fields)} == 1", f"exactly one of {', '.join(fields)} must be set", "_one")


def at_most_one_of(*fields: str) -> Rule:
    """No more than one of the fields (in wire names) is set; for the validator `_one`."""
    return Rule(f"{_set(fields)} <= 1", f"only one of {', '.join(fields)} may be set", "_one")


def immutable(field: str, instead: str) -> Rule:
    """A required field (in its wire name) stays as it was; `instead` is what to do."""
    return Rule(
        f"self.{field} == oldSelf.{field}",
        f"{field} cannot be changed: {instead}",
        field=field,
        forbidden=True,
    )


def _set(fields: tuple[str, ...]) -> str:
    return f"[{', '.join(f'has(self.{field})' for field in fields)}].filter(x, x).size()"
