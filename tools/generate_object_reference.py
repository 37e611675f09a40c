"""Writes docs/objects.md from the models: every kind, every field, its type, default and meaning."""

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sluice_api.objects.base import API_VERSION, Model, SluiceObject
from sluice_api.objects.registry import KINDS

OUTPUT = Path(__file__).parents[1] / "docs" / "objects.md"

_HEAD = f"""# Objects

All objects have `apiVersion: {API_VERSION}`, a `kind`, `metadata.name` and a `spec`. The same files drive `sluice up`
on one machine and, later, the operator in a cluster. `sluice compile -f FOLDER` checks them and names file, object
and field of whatever is wrong.

This page is generated from the models in `libs/api/src/sluice_api/objects`; `make reference` writes it anew.

| kind | what it is |
| --- | --- |
"""


_PLAIN = {"str": "text", "int": "number", "float": "number", "bool": "yes or no"}


def main() -> None:
    """Writes the page."""
    OUTPUT.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {OUTPUT.name}\n")


def page() -> str:
    """The page as Markdown."""
    kinds = sorted(KINDS.values(), key=lambda kind: kind.KIND)
    rows = [f"| [`{kind.KIND}`](#{kind.KIND.lower()}) | {_first_line(kind)} |\n" for kind in kinds]
    return _HEAD + "".join(rows) + "".join(_kind(kind) for kind in kinds)


def _kind(kind: type[SluiceObject]) -> str:
    spec = kind.model_fields["spec"].annotation
    names = f"Short name `{kind.SHORT_NAME}`, plural `{kind.PLURAL}`."
    rows = "".join(_rows(spec, "spec")) if isinstance(spec, type) and issubclass(spec, Model) else ""
    return (
        f"\n## {kind.KIND}\n\n{_first_line(kind)} {names}\n\n"
        f"| field | type | default | meaning |\n| --- | --- | --- | --- |\n{rows}"
    )


def _rows(model: type[BaseModel], path: str, given: BaseModel | None = None) -> Iterator[str]:
    """The fields' rows; `given` is what stands there where nothing is said, if the model's own defaults do not."""
    for name, field in model.model_fields.items():
        where = f"{path}.{field.alias or name}"
        nested = _nested(field)
        meaning = field.description or (_first_line(nested) if nested is not None else "")
        default = field.get_default(call_default_factory=True) if given is None else getattr(given, name)
        shown = "required" if given is None and field.is_required() else _default(field, default)
        yield f"| `{where}` | {_type(field)} | {shown} | {_cell(meaning)} |\n"
        if nested is not None:
            inner = default if isinstance(default, BaseModel) else None
            yield from _rows(
                nested, where + ("[]" if _is_list(field) else ".NAME" if _is_map(field) else ""), inner
            )


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    for kind in _leaves(field.annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _leaves(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for each in inner:
        yield from _leaves(each)


def _is_list(field: FieldInfo) -> bool:
    return str(field.annotation).startswith(("tuple[", "list["))


def _is_map(field: FieldInfo) -> bool:
    return str(field.annotation).startswith("dict[")


def _is_duration(field: FieldInfo) -> bool:
    """Also where it may be absent."""
    return "parse_duration" in f"{field.metadata} {field.annotation}"


def _type(field: FieldInfo) -> str:
    if _is_duration(field):
        return "duration"
    names: list[str] = []
    for kind in _leaves(field.annotation):
        if kind is type(None) or kind is Ellipsis:
            continue
        if isinstance(kind, Enum):
            names.append(f"`{kind.value}`")
        elif isinstance(kind, type) and issubclass(kind, Enum):
            names += [f"`{member.value}`" for member in kind]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            names.append("object")
        elif isinstance(kind, type):
            names.append(_PLAIN.get(kind.__name__, kind.__name__))
    text = ", ".join(dict.fromkeys(names))
    return f"list of {text}" if _is_list(field) else text


def _default(field: FieldInfo, value: object) -> str:
    if value is None or value in ("", (), {}) or isinstance(value, BaseModel):
        return ""
    if _is_duration(field):
        return f"`{value:g}s`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{getattr(each, 'value', each)}`" for each in value)
    return f"`{getattr(value, 'value', value)}`"


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    main()
