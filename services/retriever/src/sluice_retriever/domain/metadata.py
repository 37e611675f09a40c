"""A document's metadata, read for what a filter can ask of it."""

from collections.abc import Iterator, Mapping, Sequence

#: A JSON value as parsed.
Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None


def boolean_fields(metadata: Mapping[str, Json], value: bool) -> list[str]:  # noqa: FBT001 - a value, no switch
    """Paths of the fields that are this boolean, or a list that holds it.

    Args:
        metadata: A JSON object.
        value: True or false.
    """
    return [path for path, found in _scalars(metadata, "") if found is value]


def _scalars(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    match value:
        case str():
            yield path, value
        case Mapping():
            for name, part in value.items():
                if "." not in name:  # a filter's path could not name it
                    yield from _scalars(part, f"{path}.{name}" if path else name)
        case Sequence():
            for part in value:
                if not isinstance(part, Mapping | Sequence) or isinstance(part, str):
                    yield path, part
        case _:
            yield path, value
