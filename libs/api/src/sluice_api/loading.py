"""Files into objects. All problems of all files are collected before anything is refused."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from sluice_api.errors import LoadError, Problem
from sluice_api.objects.base import API_VERSION, SluiceObject
from sluice_api.objects.registry import KINDS

#: Larger files are not objects; the cap also bounds what YAML anchors can blow up to.
MAX_FILE_BYTES = 1 << 20

_SUFFIXES = {".yaml", ".yml", ".json"}


@dataclass(frozen=True)
class LoadedObject:
    """An object and where it stands."""

    object: SluiceObject
    file: str
    line: int

    @property
    def label(self) -> str:
        """`Kind/name`."""
        return f"{self.object.kind}/{self.object.metadata.name}"

    def problem(self, field: str, message: str) -> Problem:
        """A problem of this object."""
        return Problem(self.file, self.line, self.label, field, message)


def load(paths: Sequence[Path]) -> list[LoadedObject]:
    """The objects of files and of folders, which are searched for `*.yaml`, `*.yml` and `*.json`.

    Raises:
        LoadError: with every problem of every file.
    """
    problems: list[Problem] = []
    loaded: list[LoadedObject] = []
    for path in paths:
        files = _files(path)
        if not files:
            problems.append(Problem(str(path), 0, "", "", _nothing_here(path)))
        for file in files:
            for item in _read(file):
                problems.append(item) if isinstance(item, Problem) else loaded.append(item)
    problems.extend(_duplicates(loaded))
    if problems:
        raise LoadError(problems)
    return loaded


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
    return [path] if path.exists() else []


def _nothing_here(path: Path) -> str:
    if path.is_dir():
        return "the folder holds no .yaml, .yml or .json file"
    return "there is no such file or folder"


def _read(file: Path) -> Iterator[LoadedObject | Problem]:
    name = str(file)
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            yield Problem(name, 0, "", "", f"larger than {MAX_FILE_BYTES >> 20} MiB, so it cannot be objects")
            return
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        yield Problem(name, 0, "", "", f"not UTF-8: byte {error.start} is {error.object[error.start]:#04x}")
        return
    except OSError as error:
        yield Problem(name, 0, "", "", f"cannot be read: {error.strerror}")
        return
    try:
        for line, content in _documents(text):
            yield from parse(name, line, content)
    except yaml.YAMLError as error:
        yield _syntax_problem(name, error)


def _documents(text: str) -> Iterator[tuple[int, Any]]:
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            if _expanded_size(node, {}) > MAX_FILE_BYTES:
                raise yaml.MarkedYAMLError(
                    problem="its aliases unfold to too much", problem_mark=node.start_mark
                )
            content = loader.construct_document(node)
            if content is not None:
                yield node.start_mark.line + 1, content
    finally:
        loader.dispose()


def _expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are once every alias is unfolded."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_FILE_BYTES + 1  # an alias to itself has no end
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_expanded_size(child, known) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        size += sum(_expanded_size(key, known) + _expanded_size(value, known) for key, value in node.value)
    known[id(node)] = size
    return size


def parse(file: str, line: int, content: object) -> Iterator[LoadedObject | Problem]:
    """One object in JSON's types: itself, or its problems."""
    if not isinstance(content, dict):
        yield Problem(file, line, "", "", "not an object: it needs apiVersion, kind, metadata and spec")
        return
    kind, label = content.get("kind"), _label(content)
    if content.get("apiVersion") != API_VERSION:
        found = content.get("apiVersion")
        yield Problem(file, line, label, "apiVersion", f"is {found!r}; it must be {API_VERSION!r}")
        return
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        yield Problem(file, line, label, "kind", f"{kind!r} is not a kind{_hint(str(kind), KINDS)}")
        return
    try:
        yield LoadedObject(model.model_validate(content), file, line)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            yield Problem(file, line, label, _path(detail["loc"]), _message(model, detail))


def _label(content: dict[str, Any]) -> str:
    metadata = content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{content.get('kind') or '?'}/{name or '?'}"


def _path(location: Iterable[int | str]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")


def _message(model: type[BaseModel], detail: Any) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "literal_error":
        return f"must be {detail['ctx']['expected'].split(chr(39))[1]}"
    if detail["type"] != "extra_forbidden":
        return message
    return "there is no such field" + _hint(str(detail["loc"][-1]), _fields_at(model, detail["loc"][:-1]))


def _fields_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The wire names of the fields where an unknown one was found."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        field = next((field for field in current.model_fields.values() if field.alias == part), None)
        found = None if field is None else _model_in(field.annotation)
        if found is None:
            return []
        current = found
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _duplicates(loaded: Sequence[LoadedObject]) -> Iterator[Problem]:
    first: dict[tuple[str, str, str], LoadedObject] = {}
    for item in loaded:
        key = (item.object.kind, item.object.metadata.namespace, item.object.metadata.name)
        earlier = first.setdefault(key, item)
        if earlier is not item:
            yield item.problem("metadata.name", f"the same object stands in {earlier.file}:{earlier.line}")


def _syntax_problem(file: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
    where = f" (column {mark.column + 1})" if mark is not None else ""
    return Problem(file, mark.line + 1 if mark is not None else 0, "", "", f"not YAML: {what}{where}")
