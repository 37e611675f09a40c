"""References of an answer: web and mail addresses, DOIs, numbers of tickets and standards."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.folding import fold

_END = r"[^\s<>\"'`\])}|]"
_REFERENCE = re.compile(
    rf"\bhttps?://{_END}+|\bwww\.[\w-]{{1,63}}\.{_END}+"
    r"|\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}\b"
    rf"|\b10\.\d{{4,9}}/{_END}+"
    r"|\b(?P<ticket>[A-Z][A-Z0-9]{1,9})-\d{2,8}\b"
    r"|\b(?:RFC|CVE|ISO|DIN|IEC|PMID|PMC|arXiv|ISBN)[ :-]?\d[\d.-]{2,20}\d\b"
)
#: What looks like a ticket and is a thing of that name.
_NO_TICKETS = frozenset("AES COVID HTTP IPV ISO MP PM SARS SHA UTF WINDOWS".split())
_SCHEME = re.compile(r"^(?:https?://)?(?:www\.)?")
_BEHIND = ".,;:!?*_…/"


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference."""

    span: Span
    text: str
    """As it is looked up."""


def references(text: str) -> Iterator[Reference]:
    """The references of a text, in order."""
    for match in _REFERENCE.finditer(text):
        if match["ticket"] not in _NO_TICKETS:
            found = match[0].rstrip(_BEHIND)
            yield Reference(Span(match.start(), match.start() + len(found)), _SCHEME.sub("", fold(found)))


def absent_references(text: str, sources: Sequence[str]) -> list[Span]:
    """Where a text refers to what no source names."""
    found = list(references(text))
    folded = [fold(source) for source in sources] if found else []
    return [each.span for each in found if not any(_names(source, each.text) for source in folded)]


def _names(source: str, reference: str) -> bool:
    at = source.find(reference)
    while at >= 0:
        end = at + len(reference)
        if not (source[end : end + 1].isalnum() or source[max(0, at - 1) : at].isalnum()):
            return True
        at = source.find(reference, at + 1)
    return False
