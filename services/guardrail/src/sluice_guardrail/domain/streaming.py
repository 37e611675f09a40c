"""An answer screened while it is written: what may leave, and when it must stop."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sluice_api.objects.guardrail_policy import Mode, StreamingMode
from sluice_guardrail.domain.holding import Ends, forced, held
from sluice_guardrail.domain.model import NOBODY, Caller, Decision, Judged, Span, Verdict
from sluice_guardrail.domain.modules import with_window
from sluice_guardrail.domain.redacting.leaving import Leaving
from sluice_guardrail.domain.redacting.placeholders import Placeholder, unfinished
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.texts import Answer

#: Characters of the text before that are screened again with each new part, for what spans both.
_CONTEXT = 400
#: Characters that must have come before a part is screened again of which nothing could leave.
_STEP = 64
#: Characters that may wait for the end of what is redacted. Beyond that all of the rest waits for the end.
_MOST_HELD = 16_384

_NOTHING: Mapping[Placeholder, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Progress:
    """What was screened so far."""

    released: int
    """Code points of the answer, as it was written, that were screened and have left."""
    verdict: Verdict
    final: bool
    text: str
    """What leaves since the last progress: redacted, and with what the input gate had redacted put back."""


class OutputStream:
    """One answer in the making, under one policy throughout. Not thread-safe; the work is linear in its length."""

    def __init__(
        self,
        screener: Screener,
        question: str,
        passages: tuple[str, ...],
        kept: Mapping[Placeholder, str] = _NOTHING,
        caller: Caller = NOBODY,
        canaries: tuple[str, ...] = (),
        *,
        passages_screened: bool = False,
        tool_results: tuple[str, ...] = (),
    ) -> None:
        """`kept`: what the input gate has redacted and is to be put back. The rest is as in `Answer`."""
        self._screener = screener
        self._caller = caller
        self._question = question
        self._passages = passages
        self._canaries = canaries
        self._tool_results = tool_results
        self._leaving = Leaving(kept, passages)
        # Shadow mode withholds nothing.
        shadow = screener.spec.mode is Mode.SHADOW
        self._streaming = StreamingMode.DETECT if shadow else screener.spec.streaming
        self._parts: list[str] = []
        self._size = 0
        #: The end of the answer: what has not left, and some of what came before.
        self._tail = ""
        self._tail_start = 0
        self._ends = Ends()
        self._released = 0
        #: Nothing is screened again before the answer is as long as this.
        self._screen_from = 0
        self._made_from = screener.screen_passages(() if passages_screened else passages)
        self._verdict = self._made_from

    def feed(self, delta: str) -> Progress:
        """Takes the next piece. After a block nothing more leaves."""
        self._parts.append(delta)
        self._size += len(delta)
        text = ""
        if self._size > self._screener.spec.max_input_characters:
            self._verdict = self._screener.too_long(self._size)
        if not self._blocked and self._streaming is not StreamingMode.WITHHOLD:
            self._tail += delta
            text = self._window() if self._streaming is StreamingMode.WINDOW else self._unseen()
        return Progress(self._released, self._verdict, self._blocked, text)

    def finish(self) -> Progress:
        """Screens the whole answer."""
        if self._blocked:
            return Progress(self._released, self._verdict, final=True, text="")
        answer = "".join(self._parts)
        verdict = self._screener.screen_output(self._answer(answer), self._made_from, self._caller)
        self._verdict = verdict
        text = ""
        if self._streaming is StreamingMode.DETECT:
            text = self._leave(answer[self._released :], ())
        elif verdict.decision is not Decision.BLOCK:
            text = self._leave(answer[self._released :], _moved(verdict.redactions, -self._released))
        return Progress(self._released, verdict, final=True, text=text)

    @property
    def _blocked(self) -> bool:
        return self._verdict.decision is Decision.BLOCK

    def _unseen(self) -> str:
        """All but a placeholder whose end is still to come."""
        cut = unfinished(self._tail) if self._leaving.restores else len(self._tail)
        text, self._tail = self._tail[:cut], self._tail[cut:]
        return self._leave(text, ())

    def _window(self) -> str:
        """What was screened up to the last finished sentence, together with the end of what came before."""
        fresh = self._released - self._tail_start
        if len(self._tail) - fresh > _MOST_HELD:
            self._streaming, self._tail = StreamingMode.WITHHOLD, ""
        if self._size < self._screen_from or not self._tail:
            return ""
        end = max(self._ends.last(self._tail), forced(self._tail, fresh))
        if end <= fresh:
            return ""
        verdict = self._screener.screen_part(self._answer(self._tail), end, self._caller)
        self._take(verdict)
        cut = held(self._tail, end, (judged.finding.span for judged in verdict.redactions))
        if self._blocked or cut <= fresh:
            self._screen_from = self._size + _STEP
            return ""
        text = self._leave(self._tail[fresh:cut], _moved(verdict.redactions, -fresh))
        self._cut(max(0, cut - _CONTEXT))
        return text

    def _take(self, verdict: Verdict) -> None:
        findings = tuple(_moved(verdict.findings, self._tail_start))
        redactions = tuple(_moved(verdict.redactions, self._tail_start))
        window = replace(verdict, findings=findings, redactions=redactions)
        self._made_from = with_window(self._made_from, window)
        if verdict.decision >= self._verdict.decision:
            self._verdict = window

    def _leave(self, text: str, redactions: Iterable[Judged]) -> str:
        self._released += len(text)
        return self._leaving.piece(text, [each for each in redactions if each.finding.span.end > 0])

    def _cut(self, count: int) -> None:
        """Forgets so many characters at the tail's start; to a blank, so that no number is cut in two."""
        blank = self._tail.find(" ", max(0, count - _STEP), count)
        count = blank if blank >= 0 else count
        self._tail = self._tail[count:]
        self._tail_start += count
        self._ends.cut(count)

    def _answer(self, text: str) -> Answer:
        return Answer(self._question, text, self._passages, self._canaries, tool_results=self._tool_results)


def _moved(found: Iterable[Judged], by: int) -> Iterable[Judged]:
    """Findings in a part of an answer, their places as in another one."""
    for judged in found:
        span = judged.finding.span
        yield replace(judged, finding=replace(judged.finding, span=Span(span.start + by, span.end + by)))
