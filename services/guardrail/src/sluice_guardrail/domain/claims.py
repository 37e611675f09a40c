"""The claims of an answer: its sentences, without what claims nothing."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sentencex import get_sentence_boundaries

from sluice_guardrail.domain.citations import Citation, citations, without_marks
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.folding import fold
from sluice_lexical.unanswerable import says_so

#: What an honest answer says where the passages are silent, in folded text.
_REFUSAL = re.compile(
    r"\b(?:(?:do|does|did) ?n[o'’]t (?:say|state|mention|contain|provide"
    r"|include|specify|cover|have|know|describe|address|give|answer)"
    r"|(?:not|n't|never|nothing) (?:\w+ ){0,3}(?:found|mentioned|stated|specified|provided|available|covered"
    r"|in the (?:documents|passages|context|sources))"
    r"|no (?:\w+ ){0,2}(?:information|mention|answer|evidence|passages?|documents?|sources?)"
    r"|(?:i|we) (?:can(?:not| ?not|'t|’t)|could not|couldn't|am unable|are unable|do not know|don't know)"
    r"|unable to (?:answer|find|determine)|sorry"
    r"|insufficient information|not enough information"
    r"|steht nicht in|keine (?:angaben?|informationen)"
    r"|ne (?:contiennent|mentionnent|precisent) pas|no (?:se )?(?:menciona|contienen|indica))"
)
#: What is said to be polite, or to lead in, in folded text.
_COURTESY = re.compile(
    r"(?:(?:sure|certainly|of course|absolutely|great|okay|ok|yes|no)[,!.:] ?)?"
    r"(?:(?:hello|hi|hey|hallo|bonjour|hola|good (?:morning|day|evening))\b[^.]{0,40}[!,.]?$|thanks?\b|thank you\b"
    r"|you(?:'re| are) welcome|let me know\b|feel free\b|(?:i )?hope (?:this|that)\b|(?:i am |i'm )?(?:happy|glad) to\b"
    r"|please (?:let|feel|ask)\b|if you (?:have|need|want|would like) (?:any|more|further)\b"
    r"|(?:here|below|the following) (?:is|are)\b[^.]{0,80}"
    r"(?:summary|overview|answer|list|information|points?|details?|steps?|rules?|:)|"
    r"(?:according to|based on) the (?:documents?|passages?|sources?|context)[^.]{0,40}:$)"
)
#: Lines that frame an answer: headings, the list of its sources.
_FRAME = re.compile(
    r"\s*(?:#{1,6}\s.*|(?:\**)?(?:sources?|references?|quellen|fuentes)(?:\**)?\s*:?\s*(?:\**)?\s*$|[-*_=]{3,}\s*$)",
    re.IGNORECASE,
)
_SOURCE_LINE = re.compile(r"\s*(?:[-*]\s*)?\[\d{1,3}\]:?\s")
_SOURCES = re.compile(
    r"(?im)^\s*(?:\**|#{1,6} )(?:sources?|references?|quellen|fuentes)(?:\**)?\s*:?(?:\**)?\s*$"
)
_CODE_BLOCK = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
#: Characters that are cut into sentences at once: quotation marks that nothing closes take the square of it.
_PIECE = 4_096
_FOLLOWING_MARKS = re.compile(r"(?:\s*\[\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,16}\])+")


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence that says something about the world."""

    span: Span
    text: str
    """Without citation marks."""
    cited: tuple[int, ...]
    """Numbers of the passages it cites; empty where it cites none."""


def claims(text: str, passages: Sequence[str]) -> Iterator[Claim]:
    """The claims of an answer, in order."""
    marks = list(citations(text, passages))
    body = _blank(text)
    at = 0
    for sentence in sentences(body):
        while at < len(marks) and marks[at].span.start < sentence.start:
            at += 1
        inside = _inside(marks, at, sentence)
        plain = without_marks(body[sentence.start : sentence.end]).strip()
        if _claims_something(plain):
            yield Claim(sentence, plain, tuple(number for mark in inside for number in mark.numbers))


def sentences(text: str) -> list[Span]:
    """Sentences with the citation marks that follow them; line ends part sentences too."""
    spans: list[Span] = []
    for piece in _pieces(text):
        for boundary in get_sentence_boundaries("en", text[piece.start : piece.end]):
            start, end = piece.start + boundary["start_index"], piece.start + boundary["end_index"]
            lines = re.finditer(r"[^\n]+", text[start:end])
            spans += [Span(start + line.start(), start + line.end()) for line in lines]
    return _with_marks(spans, text)


def _pieces(text: str) -> Iterator[Span]:
    """The text in stretches that end with a line, or else with a word."""
    start = 0
    while len(text) - start > _PIECE:
        cuts = (text.rfind(sign, start, start + _PIECE) for sign in "\n ")
        end = next((cut + 1 for cut in cuts if cut >= start), start + _PIECE)
        yield Span(start, end)
        start = end
    yield Span(start, len(text))


def _with_marks(spans: Sequence[Span], text: str) -> list[Span]:
    """Gives marks at the head of a sentence to the one before: `It is so. [1] And so on.`"""
    given: list[Span] = []
    for span in spans:
        head = _FOLLOWING_MARKS.match(text, span.start, span.end)
        gap = text[given[-1].end : span.start] if given else "\n"
        if head and "\n" not in gap and not _SOURCE_LINE.match(text[given[-1].start : given[-1].start + 8]):
            given[-1] = Span(given[-1].start, head.end())
            span = Span(head.end(), span.end)
        if text[span.start : span.end].strip():
            given.append(span)
    return given


def _blank(text: str) -> str:
    """The text with code blocks and the list of sources blanked out, so that places stay the same."""
    text = _CODE_BLOCK.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    sources = _SOURCES.search(text)
    return text[: sources.start()] if sources else text


def _inside(marks: Sequence[Citation], at: int, sentence: Span) -> Iterator[Citation]:
    while at < len(marks) and marks[at].span.start < sentence.end:
        yield marks[at]
        at += 1


def _claims_something(sentence: str) -> bool:
    if sentence.endswith("?") or _FRAME.fullmatch(sentence) or says_so(sentence):
        return False
    folded = fold(sentence)
    return _COURTESY.match(folded) is None and _REFUSAL.search(folded) is None
