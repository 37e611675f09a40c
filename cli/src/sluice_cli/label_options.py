"""Labels of documents as options and files of rules say them. Imported late: the command starts without pydantic."""

import fnmatch
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from sluice_api.objects.base import Duration
from sluice_cli.errors import CommandError, usage
from sluice_cli.labelling import Json, Labelling, Labels, Rule

_DURATION: TypeAdapter[float] = TypeAdapter(Duration)


def _is_duration(written: str) -> str:
    _DURATION.validate_python(written)
    return written


class _Written(BaseModel):
    """Labels as they are written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    metadata: Json = {}
    acl: list[str] = []
    ttl: Annotated[str, AfterValidator(_is_duration)] | None = None

    @property
    def labels(self) -> Labels:
        return Labels(self.metadata, self.acl, self.ttl or "")


def labelling(file: Path | None, metadata: Iterable[str], acl: Sequence[str], ttl: str) -> Labelling:
    """What the options of a command say; they go before the file's rules.

    Args:
        file: YAML or JSON that maps patterns of ids to labels.
        metadata: `KEY=VALUE`; a value is JSON where it can be read as such, else text.
        acl: Names.
        ttl: A duration, or empty.

    Raises:
        CommandError: one of them cannot be read.
    """
    try:
        given = _Written.model_validate(
            {"metadata": dict(map(_pair, metadata)), "acl": list(acl), "ttl": ttl or None}
        )
    except ValidationError as error:
        raise _invalid(error, "--") from None
    rules = _rules(file) if file else []
    return Labelling((*rules, Rule(re.compile(""), given.labels)))


def _pair(given: str) -> tuple[str, Any]:
    name, equals, value = given.partition("=")
    if not name or not equals:
        raise usage(f"--metadata {given!r} is not KEY=VALUE")
    try:
        found = json.loads(value)
        json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):
        return name, value
    return name, found


def _rules(file: Path) -> list[Rule]:
    try:
        content = yaml.safe_load(file.read_text())
        # Dates become text, as they would be in JSON.
        content = json.loads(json.dumps(content, default=str, allow_nan=False))
    except OSError as error:
        raise usage(f"{file}: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise usage(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise usage(f"{file} does not map patterns to metadata, acl and ttl")
    return [_rule(file, pattern, labels) for pattern, labels in content.items()]


def _rule(file: Path, pattern: str, labels: object) -> Rule:
    try:
        return Rule(re.compile(fnmatch.translate(pattern)), _Written.model_validate(labels).labels)
    except ValidationError as error:
        raise _invalid(error, f"{file}: {pattern}: ") from None


def _invalid(error: ValidationError, where: str) -> CommandError:
    detail = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in detail["loc"])
    words = str(detail["msg"]).removeprefix("Value error, ")
    return usage(f"{where}{field}: {words}" if field else f"{where}{words}")
