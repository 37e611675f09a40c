"""An answer screened while it is written: what may leave, and when it must stop."""

import re
from dataclasses import dataclass, replace

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_guardrail.domain.model import Answer, Decision, Span, Verdict
from sluice_guardrail.domain.screening import Screener

#: The end of a sentence or line, once it is clear that no citation mark follows. What is blank between digits ends
#: nothing: it may stand within a card number, whose first half must not leave alone.
_FINISHED = re.compile(r"(?P<number>\d\s+(?=\d))|(?:[.!?]['\")\]”’»]*\s+|[。！？]|\n)(?=[^\s\[])")
#: Characters of the text before that are screened again with each new part, for what spans both.
_CONTEXT = 400
#: Characters without the end of a sentence that are looked through again for one.
_LOOK_BACK = 8


@dataclass(frozen=True, slots=True)
class Progress:
    """What was screened so far."""

    released: int
    """Code points of the answer that may leave."""
    verdict: Verdict
    final: bool
    text: str
    """What may leave since the last progress."""


class OutputStream:
    """One answer in the making. Not thread-safe; the work is linear in the answer's length."""

    def __init__(
        self,
        screener: Screener,
        question: str,
        passages: tuple[str, ...],
        *,
        passages_screened: bool = False,
    ) -> None:
        self._screener = screener
        self._question = question
        self._passages = passages
        self._parts: list[str] = []
        self._size = 0
        self._tail = ""
        self._tail_start = 0
        self._released = 0
        self._searched = 0
        self._sent = 0
        self._made_from = screener.screen_passages(() if passages_screened else passages)
        self._verdict = self._made_from

    def feed(self, delta: str) -> Progress:
        """Takes the next piece. After a block nothing more is released."""
        self._parts.append(delta)
        self._tail += delta
        self._size += len(delta)
        if self._size > self._screener.spec.max_input_characters:
            self._verdict = self._screener.too_long(self._size)
        elif self._screener.spec.streaming is StreamingMode.WINDOW:
            self._advance()
        elif self._screener.spec.streaming is StreamingMode.DETECT:
            self._released = self._size
        return self._progress(final=self._blocked)

    def finish(self) -> Progress:
        """Screens the whole answer."""
        if not self._blocked:
            self._verdict = self._screener.screen_output(self._answer("".join(self._parts)), self._made_from)
            if not self._blocked:
                self._released = self._size
        return self._progress(final=True)

    @property
    def _blocked(self) -> bool:
        return self._verdict.decision is Decision.BLOCK

    def _advance(self) -> None:
        """Screens up to the last finished sentence, together with the end of what came before."""
        end = 0
        for match in _FINISHED.finditer(self._tail, self._search_from()):
            end = end if match["number"] else match.end()
        self._searched = len(self._tail)
        if self._tail_start + end <= self._released:
            return
        verdict = _moved(self._screener.screen_part(self._answer(self._tail[:end])), self._tail_start)
        if verdict.decision >= self._verdict.decision:
            self._verdict = verdict
        if self._blocked:
            return
        self._released = self._tail_start + end
        cut = max(0, end - _CONTEXT)
        self._tail = self._tail[cut:]
        self._tail_start += cut
        self._searched -= cut

    def _search_from(self) -> int:
        """Where to look on for an end: a little before what was searched, and not within a gap between digits."""
        start = max(0, self._searched - _LOOK_BACK)
        while start > max(0, self._searched - 2 * _LOOK_BACK) and self._tail[start].isspace():
            start -= 1
        return start

    def _answer(self, text: str) -> Answer:
        return Answer(self._question, text, self._passages)

    def _progress(self, *, final: bool) -> Progress:
        leaving = "".join(self._parts)[self._sent : self._released] if self._released > self._sent else ""
        self._sent = self._released
        return Progress(self._released, self._verdict, final, leaving)


def _moved(verdict: Verdict, by: int) -> Verdict:
    """The verdict on a part of an answer, its spans as in the whole."""
    findings = []
    for judged in verdict.findings:
        span = judged.finding.span
        moved = replace(judged.finding, span=Span(span.start + by, span.end + by))
        findings.append(replace(judged, finding=moved))
    return replace(verdict, findings=tuple(findings))
