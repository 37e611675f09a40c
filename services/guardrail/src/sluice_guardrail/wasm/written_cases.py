"""Cases as authors of policies write them: a YAML file that says of texts what a module shall make of them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from sluice_api.objects.guardrail_policy import Action, WasmPolicy, WasmStage
from sluice_guardrail.domain.model import Caller, Channel
from sluice_guardrail.domain.modules import Question
from sluice_guardrail.domain.texts import Text
from sluice_guardrail.wasm.abi import Score

#: Larger files are no cases; the cap also bounds what YAML anchors can blow up to.
MAX_FILE_BYTES = 4 << 20

_OF_POLICY = ("kind", "settings", "timeout", "memory")


class CasesError(ValueError):
    """A file that holds no cases. The message says where it is wrong."""


class _Written(BaseModel):
    """Base of what stands in the file: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Expected(_Written):
    """What a case expects; what it leaves out may be anything."""

    action: Action | None = None
    labels: tuple[str, ...] | None = None
    """In any order."""
    spans: tuple[str, ...] | None = None
    """The pieces of the text that are found, from left to right."""
    text: str | None = None
    """The text as a redaction leaves it."""
    score: Score | None = None
    error: str | None = None
    """A part of what is said when the settings are refused or the module fails; empty for any failure."""

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if (self.action is None) == (self.error is None):
            raise ValueError("expect an `action` or an `error`")
        return self


class WrittenCase(_Written):
    """One text, and what is expected of it."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    text: str = ""
    channel: Channel = Channel.USER
    stage: WasmStage | None = None
    """`post` for an output and `pre` for all else, when absent."""
    settings: dict[str, JsonValue] | None = None
    """In the place of the file's."""
    scores: dict[str, Score] = {}
    """The detectors' scores for the text, by name."""
    tenant: str = ""
    expect: Expected

    @property
    def question(self) -> Question:
        """What the module is asked."""
        usual = WasmStage.POST if self.channel is Channel.OUTPUT else WasmStage.PRE
        text = Text(self.text, self.channel)
        return Question(self.stage or usual, text, (), self.scores, Caller(self.tenant), "")


class CaseFile(_Written):
    """A file of cases."""

    policy: WasmPolicy
    """What they are asked under."""
    cases: Annotated[tuple[WrittenCase, ...], Field(min_length=1, max_length=10_000)]


@dataclass(frozen=True, slots=True)
class Got:
    """What a module has made of a text, in the words that cases use."""

    action: Action | None = None
    score: float = 0.0
    labels: tuple[str, ...] = ()
    spans: tuple[str, ...] = ()
    text: str = ""
    """As it goes on."""
    reason: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected."""

    field: str
    expected: Any
    got: Any


def read_cases(content: bytes, digest: str, given: dict[str, Any]) -> CaseFile:
    """The cases of a file, and in it the policy's `kind`, `settings`, `timeout` and `memory`.

    Args:
        digest: Of the module.
        given: Fields of the policy that go before the file's.

    Raises:
        CasesError: it holds none.
    """
    try:
        found = yaml.safe_load(content.decode())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise CasesError(f"not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise CasesError("not a mapping with `cases`")
    fields = {name: found.pop(name) for name in _OF_POLICY if name in found}
    policy = policy_of(digest, {**fields, **given})
    try:
        return CaseFile.model_validate({**found, "policy": policy})
    except ValidationError as error:
        raise CasesError(_first(error)) from None


def policy_of(digest: str, given: dict[str, Any]) -> WasmPolicy:
    """The policy that a module is tested under.

    Raises:
        CasesError: a field is wrong.
    """
    try:
        return WasmPolicy.model_validate({"name": "tested", "module": f"sha256:{digest}", **given})
    except ValidationError as error:
        raise CasesError(_first(error)) from None


def differences(expect: Expected, got: Got) -> Iterator[Difference]:
    """How an answer differs from what is expected."""
    if expect.error is not None:
        if got.error is None or expect.error not in got.error:
            yield Difference("error", expect.error, got.error or f"none; the action is {got.action}")
        return
    if got.error is not None:
        yield Difference("action", expect.action, f"error: {got.error}")
        return
    for field in ("action", "labels", "spans", "text", "score"):
        wanted, has = getattr(expect, field), getattr(got, field)
        if field == "labels" and wanted is not None:
            wanted, has = _sorted(wanted), _sorted(has)
        if wanted is not None and wanted != has:
            yield Difference(field, wanted, has)


def redacted(text: str, spans: Sequence[tuple[int, int, str | None]]) -> str:
    """A text with the replacements of spans, in code points, put in."""
    for start, end, replacement in sorted(spans, reverse=True):
        if replacement is not None:
            text = text[:start] + replacement + text[end:]
    return text


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(map(str, first['loc']))}: {message}"


def _sorted(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(words))
