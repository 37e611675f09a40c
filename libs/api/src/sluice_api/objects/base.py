"""What all kinds share: the envelope, camelCase on the wire, frozen after parsing, no unknown fields."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from sluice_api.objects.cel import Rule

API_VERSION = "sluice.dev/v1alpha1"

#: How a duration is written.
DURATION_PATTERN = r"^([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h|d)$"

_DURATION = re.compile(DURATION_PATTERN)
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: object) -> object:
    """Seconds of what is written so.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, str):
        raise ValueError("must be a duration such as 250ms, 1.5s or 24h")
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a duration such as 250ms, 1.5s or 24h")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def write_duration(seconds: float) -> str:
    """A duration as it is written, to the millisecond."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


#: Seconds in Python, `250ms`, `1.5s`, `24h` on the wire.
Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(write_duration, return_type=str)]

#: A Kubernetes object name (RFC 1123 subdomain).
Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class Model(BaseModel):
    """Base of every part of an object: strict about names, immutable once parsed."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    #: Rules between fields, for the API server.
    RULES: ClassVar[tuple[Rule, ...]] = ()
    #: The fields, in their wire names, that tell the items of a list of these apart; none where their place does.
    LIST_KEYS: ClassVar[tuple[str, ...]] = ()


class Metadata(Model):
    """The part of Kubernetes metadata that Sluice reads; the rest is accepted and ignored."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    namespace: Name = "default"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    generation: int = 0


class SluiceObject(Model):
    """The envelope of every kind. Subclasses set `KIND` and type `spec`."""

    KIND: ClassVar[str]
    SHORT_NAME: ClassVar[str]
    PLURAL: ClassVar[str]

    api_version: str
    kind: str
    metadata: Metadata
    spec: Model
    status: dict[str, Any] = {}
