"""The policy ABI, version 1: what a module exports, what it is told, and what it answers.

A module of kind `core` exports

    memory                                              its one memory
    guard_abi_version() -> i32                          1
    guard_alloc(size: i32) -> i32                       room for `size` bytes; 0 where there is none
    guard_validate_settings(ptr: i32, len: i32) -> i64  of the policy's settings, a JSON object: `Validity`
    guard_evaluate(ptr: i32, len: i32) -> i64           of an `Input`: an `Output`
    _initialize()                                       only where the language needs it; called first

and may import

    guard.log(level: i32, ptr: i32, len: i32)           level 0 debug, 1 info, 2 warning, 3 error; bounded
    guard.feature(ptr: i32, len: i32) -> f64            the score of the detector of that name, 0 to 1; -1 where
                                                        none of that name ran
    wasi_snapshot_preview1.*                            empty: no arguments, no variables, no files, no sockets;
                                                        every clock stands at one second, random
                                                        bytes are the same in each call

The host asks `guard_alloc` once, writes UTF-8 JSON there and calls. The i64 is read as unsigned: the place of the
answer in its upper 32 bits, the size in its lower; UTF-8 JSON, at most `MAX_OUTPUT_BYTES`. Pointers and sizes are
unsigned. Each call has an instance of its own, so nothing needs to be freed and nothing is remembered.

A module of kind `wasi` is a command (it exports `memory` and `_start`). It is started as `policy evaluate` or
`policy validate`, reads the same JSON from standard input, writes the same JSON to standard output, and ends with 0.
What it writes to standard error counts as logged. It has the same empty WASI and may import `guard.*` too.

Places are counted in bytes of UTF-8, in what a module reads and in what it answers: every language but Python does
so. They lie between two code points, never within one.

Whatever breaks this (a trap, another exit code, an answer that is late, too large or not of the schema, an unknown
field) is a failure of the policy, whose `onError` decides.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from sluice_api.objects.guardrail_policy import Action, WasmStage
from sluice_guardrail.domain.model import Channel

ABI_VERSION = 1
#: The largest answer.
MAX_OUTPUT_BYTES = 64 << 10

Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
#: Bytes of UTF-8.
Offset = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]
#: Labels become categories of findings, so they are words and never hold what was found.
Label = Annotated[str, Field(max_length=48, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class _Message(BaseModel):
    """Base of what crosses the border of a module: strict about names and types, immutable.

    Parsed from JSON; from Python objects it takes no lists for tuples and no text for enumerations.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class FoundSpan(_Message):
    """Something a detector has found in the text."""

    detector: str
    category: str
    score: Score
    start: Offset
    """Of its first byte."""
    end: Offset
    """After its last byte."""


class Input(_Message):
    """What a module is asked about: one text."""

    abi: Literal[1] = 1
    stage: WasmStage
    """`pre` at the input gate, `stream` for a window of a streamed answer, `post` for a whole answer."""
    channel: Channel
    """`user`, `document`, `tool`, or `output`."""
    text: str
    normalized: str = ""
    """The text folded: compatibility forms and letter case made one, what is invisible left out. Places in it are
    not those of `text`."""
    spans: tuple[FoundSpan, ...] = ()
    """What the detectors have found in this text."""
    scores: dict[str, Score] = {}
    """The detectors' scores for this text, by name; those that found nothing too."""
    settings: dict[str, JsonValue] = {}
    """The policy's `settings`."""
    tenant: str = ""
    request_id: str = ""
    """The run's id; empty outside of a run."""
    history_digest: str = ""
    """SHA-256 of the request's texts before this one (for an answer: the question), hex; each with its size in bytes
    before it, 8 bytes big-endian. Empty where there are none."""


class OutputSpan(_Message):
    """A place in the text."""

    start: Offset
    """Of its first byte."""
    end: Offset
    """After its last byte; greater than `start`."""
    replace: Annotated[str, Field(max_length=1024)] | None = None
    """What a redaction puts there; may be empty."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.start >= self.end:
            raise ValueError("a span must not be empty")
        return self


class Output(_Message):
    """What a module makes of a text."""

    action: Action
    """`allow`, `flag`, `redact` or `block`."""
    reason: Annotated[str, Field(max_length=1024)] = ""
    """For whoever tests the policy. It is not recorded when the policy serves, since it might quote the text."""
    score: Score | None = None
    """1 where the action is not `allow`, else 0, unless it says otherwise."""
    spans: Annotated[tuple[OutputSpan, ...], Field(max_length=256)] = ()
    """Where, in any order. `redact` needs at least one, each with `replace`, none overlapping."""
    labels: Annotated[tuple[Label, ...], Field(max_length=8)] = ()
    """What it is about; the categories of the findings."""

    @model_validator(mode="after")
    def _redactable(self) -> Self:
        if self.action is not Action.REDACT:
            return self
        spans = sorted(self.spans, key=lambda span: span.start)
        if not spans or any(span.replace is None for span in spans):
            raise ValueError("`redact` needs spans, each with `replace`")
        if any(before.end > after.start for before, after in pairwise(spans)):
            raise ValueError("the spans of a redaction must not overlap")
        return self


class Validity(_Message):
    """Whether a module can work with a policy's settings."""

    valid: bool
    message: Annotated[str, Field(max_length=1024)] = ""
    """What is wrong, for whoever wrote the policy."""


class Expected(_Message):
    """What a case expects of an answer; what it leaves out may be anything."""

    action: Action
    labels: tuple[Label, ...] | None = None
    spans: tuple[OutputSpan, ...] | None = None


class Case(_Message):
    """One example of what a module shall answer.

    A module may carry cases in a custom section named `sluice.cases`: UTF-8 JSON, an array of these. It comes into
    force only when all of them hold.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: Input
    expect: Expected

    def difference(self, output: Output) -> str:
        """How an answer differs from what is expected; empty where it does not. Holds nothing of the text."""
        expect = self.expect
        if output.action is not expect.action:
            return f"the action is {output.action}, not {expect.action}"
        if expect.labels is not None and set(output.labels) != set(expect.labels):
            return f"the labels are {sorted(output.labels)}, not {sorted(expect.labels)}"
        if expect.spans is not None and set(output.spans) != set(expect.spans):
            return f"there are {len(output.spans)} spans, not the {len(expect.spans)} that are expected"
        return ""
