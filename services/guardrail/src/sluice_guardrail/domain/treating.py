"""What becomes of the parts of a text that try to instruct the model: marked as data, or left out. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec, OnError, Treatment
from sluice_guardrail.domain.claims import sentences
from sluice_guardrail.domain.model import (
    Channel,
    Decision,
    Edit,
    Judged,
    Passage,
    Reason,
    Span,
    Treated,
    Verdict,
)
from sluice_guardrail.domain.texts import Text
from sluice_lexical import datamarks

#: Looks at a text. A detector reports the best place of each kind: once that is gone, others may show.
Again = Callable[[Text], Sequence[Judged]]

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')

#: Times that a text is looked at without what was found before.
_ROUNDS = 8


def treated_passages(
    passages: Sequence[Passage], verdict: Verdict, spec: GuardrailPolicySpec, again: Again
) -> tuple[Treated, ...]:
    """The passages that a model may not read as they are; none where the policy only records.

    What is blocked is dropped, and so is everything where not all was scanned and the policy denies that.
    """
    if verdict.shadow:
        return ()
    if verdict.partial and spec.on_partial is OnError.DENY:
        return tuple(_dropped(index) for index in range(len(passages)))
    found = _by_segment(verdict.findings)
    treated = (
        _passage(index, passages[index], judged, spec.documents.treatment, again)
        for index, judged in sorted(found.items())
    )
    return tuple(each for each in treated if each is not None)


def treated_segments(
    texts: Sequence[Text], verdict: Verdict, spec: GuardrailPolicySpec, again: Again
) -> tuple[Treated, ...]:
    """Documents and tools' results that a model may not read as they are. A call's arguments are JSON that the model
    wrote: they stay."""
    if verdict.shadow or verdict.decision is Decision.BLOCK:
        return ()
    treatments = {Channel.DOCUMENT: spec.documents.treatment, Channel.TOOL: spec.tools.treatment}
    found = _by_segment(verdict.findings)
    return tuple(_segments(texts, found, treatments, again))


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with its edits, which are in order and do not overlap."""
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts += (text[at : edit.span.start], edit.replacement)
        at = edit.span.end
    return "".join((*parts, text[at:]))


def _passage(
    index: int, passage: Passage, judged: Sequence[Judged], treatment: Treatment, again: Again
) -> Treated | None:
    if any(each.decision is Decision.BLOCK for each in judged):
        return _dropped(index)
    if treatment is Treatment.KEEP:
        return None
    ranges = _ranges(Text(passage.read, Channel.DOCUMENT), judged, again)
    if ranges is None:
        return _dropped(index)
    begin = passage.text_start
    inside = (Span(max(0, span.start - begin), span.end - begin) for span in ranges if span.end > begin)
    edits = tuple(_edits(passage.text, inside, treatment))
    untitled = any(span.start < begin for span in ranges)
    return Treated(index, applied(passage.text, edits), edits=edits, untitled=untitled)


def _segments(
    texts: Sequence[Text],
    found: dict[int, list[Judged]],
    treatments: dict[Channel, Treatment],
    again: Again,
) -> Iterator[Treated]:
    for index, judged in sorted(found.items()):
        text = texts[index]
        treatment = treatments.get(text.channel, Treatment.KEEP)
        if treatment is Treatment.KEEP or text.role == "assistant":
            continue
        ranges = _ranges(text, judged, again)
        if ranges is None:
            yield _dropped(index)
        else:
            yield Treated(index, applied(text.text, _edits(text.text, ranges, treatment)))


def _by_segment(findings: Iterable[Judged]) -> dict[int, list[Judged]]:
    found: dict[int, list[Judged]] = {}
    for judged in findings:
        if _counts(judged):
            found.setdefault(judged.segment, []).append(judged)
    return found


def _counts(judged: Judged) -> bool:
    return judged.reason is Reason.DOCUMENT_INJECTION and judged.decision is not Decision.ALLOW


def _dropped(index: int) -> Treated:
    return Treated(index, "", dropped=True)


def _ranges(text: Text, judged: Sequence[Judged], again: Again) -> list[Span] | None:
    """The flagged places, widened to their sentences. The text is looked at again without them, until nothing is
    flagged; None where that has no end, or where what is left would be blocked."""
    bounds = _bounds(text.text)
    ranges: list[Span] = []
    for _ in range(_ROUNDS):
        ranges = _joined([*ranges, *(_widened(each.finding.span, bounds) for each in judged)])
        rest = Text(_blanked(text.text, ranges), text.channel, text.role)
        judged = [each for each in again(rest) if _counts(each)]
        if any(each.decision is Decision.BLOCK for each in judged):
            return None
        if not judged:
            return ranges
    return None


def _bounds(text: str) -> list[Span]:
    """Sentences. Those of JSON lie within its strings, so that it stays JSON."""
    if not text.lstrip().startswith(("{", "[")):
        return sentences(text)
    return [
        Span(match.start() + 1 + span.start, match.start() + 1 + span.end)
        for match in _JSON_STRING.finditer(text)
        for span in sentences(match[0][1:-1])
    ]


def _widened(span: Span, bounds: Sequence[Span]) -> Span:
    touched = [each for each in bounds if each.start < span.end and each.end > span.start]
    starts, ends = (each.start for each in touched), (each.end for each in touched)
    return Span(min([span.start, *starts]), max([span.end, *ends]))


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda each: each.start):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def _blanked(text: str, spans: Iterable[Span]) -> str:
    """Places stay what they are."""
    for span in spans:
        text = text[: span.start] + " " * (span.end - span.start) + text[span.end :]
    return text


def _edits(text: str, spans: Iterable[Span], treatment: Treatment) -> Iterator[Edit]:
    """Blanks around a sentence stay."""
    for span in spans:
        part = text[span.start : span.end]
        if words := part.strip():
            start = span.start + len(part) - len(part.lstrip())
            replacement = datamarks.OMISSION if treatment is Treatment.DROP else datamarks.marked(words)
            yield Edit(Span(start, start + len(words)), replacement)
