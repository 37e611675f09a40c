"""What becomes of the parts of a text that try to instruct the model: marked as data, or left out. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
from sluice_guardrail.domain.redacting.redactor import applied
from sluice_guardrail.domain.texts import Text
from sluice_lexical import datamarks

#: Looks at a text. A detector reports the best place of each kind: once that is gone, others may show.
Again = Callable[[Text], Sequence[Judged]]

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')

#: What is to be redacted of each text, in order, by its index.
Redacted = Mapping[int, Sequence[Edit]]

#: Times that a text is looked at without what was found before.
_ROUNDS = 8


def treated_passages(
    passages: Sequence[Passage],
    verdict: Verdict,
    spec: GuardrailPolicySpec,
    redacted: Redacted,
    again: Again,
) -> tuple[Treated, ...]:
    """The passages that a model may not read as they are; none where the policy only records.

    What is blocked is dropped, and so is everything where not all was scanned and the policy denies that.
    """
    if verdict.shadow:
        return ()
    if verdict.partial and spec.on_partial is OnError.DENY:
        return tuple(_dropped(index) for index in range(len(passages)))
    found = _by_segment(verdict.findings)
    return tuple(
        treated
        for index, passage in enumerate(passages)
        for treated in _passage(
            index, passage, found.get(index, ()), redacted.get(index, ()), spec.documents.treatment, again
        )
    )


def treated_segments(
    texts: Sequence[Text],
    verdict: Verdict,
    spec: GuardrailPolicySpec,
    redacted: Redacted,
    again: Again,
) -> tuple[Treated, ...]:
    """Texts that are redacted, and documents and tools' results that a model may not read as they are. A call's
    arguments are JSON that the model wrote: they are not marked."""
    if verdict.shadow or verdict.decision is Decision.BLOCK:
        return ()
    found = _by_segment(verdict.findings)
    treatments = {Channel.DOCUMENT: spec.documents.treatment, Channel.TOOL: spec.tools.treatment}
    return tuple(
        treated
        for index, text in enumerate(texts)
        for treated in _segment(
            index,
            text,
            found.get(index, ()),
            redacted.get(index, ()),
            Treatment.KEEP if text.role == "assistant" else treatments.get(text.channel, Treatment.KEEP),
            again,
        )
    )


def _passage(
    index: int,
    passage: Passage,
    judged: Sequence[Judged],
    redacted: Sequence[Edit],
    treatment: Treatment,
    again: Again,
) -> Iterator[Treated]:
    if any(each.decision is Decision.BLOCK for each in judged):
        yield _dropped(index)
        return
    ranges = _ranges(Text(passage.read, Channel.DOCUMENT), judged, treatment, again)
    if ranges is None:
        yield _dropped(index)
        return
    begin = passage.text_start
    edits = _edits(
        passage.text,
        [_moved(span, begin) for span in ranges if span.end > begin],
        treatment,
        [Edit(_moved(edit.span, begin), edit.replacement) for edit in redacted if edit.span.end > begin],
    )
    untitled = any(span.start < begin for span in (*ranges, *(edit.span for edit in redacted)))
    if edits or untitled:
        yield Treated(index, applied(passage.text, edits), edits=tuple(edits), untitled=untitled)


def _segment(
    index: int,
    text: Text,
    judged: Sequence[Judged],
    redacted: Sequence[Edit],
    treatment: Treatment,
    again: Again,
) -> Iterator[Treated]:
    ranges = _ranges(text, judged, treatment, again)
    if ranges is None:
        yield _dropped(index)
    elif edits := _edits(text.text, ranges, treatment, redacted):
        yield Treated(index, applied(text.text, edits))


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


def _ranges(text: Text, judged: Sequence[Judged], treatment: Treatment, again: Again) -> list[Span] | None:
    """The flagged places that are treated, widened to their sentences. The text is looked at again without them, until
    nothing is flagged; None where that has no end, or where what is left would be blocked."""
    if treatment is Treatment.KEEP or not judged:
        return []
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


def _edits(text: str, ranges: Sequence[Span], treatment: Treatment, redacted: Sequence[Edit]) -> list[Edit]:
    """What is marked or left out, and what is redacted inside and outside of that. Blanks around a sentence stay."""
    touching = [edit.span for edit in redacted if any(_meet(edit.span, span) for span in ranges)]
    whole = _joined([*ranges, *touching])
    edits = [edit for edit in redacted if not any(_meet(edit.span, span) for span in whole)]
    for span in whole:
        part = text[span.start : span.end]
        if not part.strip():
            continue
        start = span.start + len(part) - len(part.lstrip())
        end = span.end - len(part) + len(part.rstrip())
        inner = [
            Edit(_moved(edit.span, start), edit.replacement) for edit in redacted if _meet(edit.span, span)
        ]
        words = datamarks.marked(applied(text[start:end], inner))
        edits.append(Edit(Span(start, end), datamarks.OMISSION if treatment is Treatment.DROP else words))
    return sorted(edits, key=lambda edit: edit.span.start)


def _meet(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _moved(span: Span, back: int) -> Span:
    return Span(max(0, span.start - back), span.end - back)
