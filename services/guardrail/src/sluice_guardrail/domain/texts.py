"""A text on its way through the detectors. What several of them need of it is worked out once."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from sluice_guardrail.domain.model import Channel, Segment
from sluice_guardrail.domain.normalising.decoder import Budget
from sluice_guardrail.domain.normalising.view import Reading, View
from sluice_guardrail.domain.normalising.views import FOLDED, views
from sluice_guardrail.domain.structured import as_prose


@dataclass(frozen=True)
class Text:
    """One text and what it can be read as."""

    text: str
    channel: Channel = Channel.USER
    role: str = ""

    @classmethod
    def of(cls, segment: Segment) -> "Text":
        """A segment's."""
        return cls(segment.text, segment.channel, segment.role)

    @cached_property
    def folded(self) -> View:
        """The text as written, folded; for detectors that need no other view."""
        return View(FOLDED, Reading.original(self.text))

    @property
    def views(self) -> Sequence[View]:
        """All views, the plainest first."""
        return self._read[0]

    @property
    def decoded_whole(self) -> bool:
        """False where something decodes to more than may be looked through; no view shows that."""
        return not self._read[1]

    @cached_property
    def _read(self) -> tuple[Sequence[View], bool]:
        budget = Budget.of(self.text)
        found = tuple(views(self.text, budget))
        return found, budget.exhausted


class Form(StrEnum):
    """What an answer is written in."""

    PROSE = "prose"
    JSON = "json"
    ARGUMENTS = "arguments"
    """Of a tool's call."""


@dataclass(frozen=True)
class Answer:
    """An answer and what it was made from."""

    question: str
    text: str
    passages: tuple[str, ...]
    """In citation order: passage `i` is cited as `[i+1]`."""
    canaries: tuple[str, ...] = ()
    """Random words of the run's prompt, which must not appear."""
    passages_screened: bool = False
    """They were screened before the model read them, and are not screened again."""
    form: Form = Form.PROSE
    tool_results: tuple[str, ...] = ()
    """What the answer may rest on besides; no mark cites it."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """All that the answer may rest on, the passages first."""
        return (*self.passages, *self.tool_results)

    @cached_property
    def prose(self) -> str:
        """What it claims and cites, at the places where it stands in the text; the arguments of a call do neither."""
        if self.form is Form.ARGUMENTS:
            return ""
        return as_prose(self.text) if self.form is Form.JSON else self.text

    @cached_property
    def written(self) -> Text:
        """Its text, for the detectors that read any."""
        return Text(self.text, Channel.OUTPUT)
