"""Rules between fields, said once for pydantic; their messages name fields as the wire does."""

from typing import TypeVar

from sluice_api.objects.base import Model

M = TypeVar("M", bound=Model)


def exactly_one(model: M, *fields: str) -> M:
    """The model, if exactly one of the fields (in wire names) is set.

    Raises:
        ValueError: none is set, or several are.
    """
    return at_most_one(model, *fields, at_least=1)


def at_most_one(model: M, *fields: str, at_least: int = 0) -> M:
    """The model, if no more than one of the fields (in wire names) is set.

    Raises:
        ValueError: several are set, or fewer than `at_least`.
    """
    names = {field.alias: name for name, field in type(model).model_fields.items()}
    present = [field for field in fields if getattr(model, names[field]) is not None]
    if len(present) > 1:
        raise ValueError(f"only one of {', '.join(fields)} may be set, not {' and '.join(present)}")
    if len(present) < at_least:
        raise ValueError(f"one of {', '.join(fields)} must be set")
    return model
