"""Numbers in questions, in English and German: "under 50", "mindestens 4", "between 100 and 200". Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sluice_api.filtering import BOUNDS, Bound, Range
from sluice_retriever.domain.phrases.words import Span

#: Not part of a longer number or name, and not of a scale that is said in words or of a share.
_NUMBER = (
    r"[€$£]?\ ?(?<![\w.,])(?:\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?|\d{1,12}(?:[.,]\d{1,6})?)(?![\w%]|[.,]\d)"
)
_NOT_SCALED = r"(?!\ ?(?:%|k\b|m\b|percent|prozent|thousand|million|billion|mio|mrd|tsd|tausend|milliarde))"
_CURRENCY = r"(?:\ ?(?:€|\$|£))?"

#: By language, since both write thousands with the other's decimal point.
_ENGLISH: tuple[tuple[str, dict[Bound, int]], ...] = (
    (r"(?:between|from)\ {A}{C}\ (?:and|to)\ {B}", {"gte": 0, "lte": 1}),
    (r"(?:at\ least|no\ (?:less|fewer)\ than|not\ (?:less|fewer)\ than|a\ minimum\ of)\ {A}", {"gte": 0}),
    (r"(?:at\ most|no\ more\ than|not\ more\ than|up\ to|a\ maximum\ of)\ {A}", {"lte": 0}),
    (r"(?:under|below|less\ than|fewer\ than|cheaper\ than|lower\ than|smaller\ than)\ {A}", {"lt": 0}),
    (r"(?:over|above|more\ than|greater\ than|higher\ than|exceeding)\ {A}", {"gt": 0}),
    (r"{A}{C}(?:\ \w+)?\ or\ (?:more|higher|above|better)", {"gte": 0}),
    (r"{A}{C}(?:\ \w+)?\ or\ (?:less|fewer|lower|below)", {"lte": 0}),
)
_GERMAN: tuple[tuple[str, dict[Bound, int]], ...] = (
    (r"zwischen\ {A}{C}\ und\ {B}", {"gte": 0, "lte": 1}),
    (r"(?:mindestens|wenigstens|nicht\ weniger\ als)\ {A}", {"gte": 0}),
    (r"(?:höchstens|maximal|nicht\ mehr\ als|bis\ zu)\ {A}", {"lte": 0}),
    (r"(?:unter|weniger\ als|kleiner\ als|günstiger\ als|billiger\ als|niedriger\ als)\ {A}", {"lt": 0}),
    (r"(?:über|mehr\ als|größer\ als|höher\ als)\ {A}", {"gt": 0}),
    (r"{A}{C}(?:\ \w+)?\ oder\ (?:mehr|höher|besser)", {"gte": 0}),
    (r"{A}{C}(?:\ \w+)?\ oder\ (?:weniger|niedriger)", {"lte": 0}),
)
_PATTERNS = tuple(
    (
        re.compile(
            r"(?<![\w-])"
            + form.format(
                A=f"(?P<a>{_NUMBER}){_NOT_SCALED}", B=f"(?P<b>{_NUMBER}){_NOT_SCALED}", C=_CURRENCY
            ),
            re.I,
        ),
        bounds,
        decimal,
    )
    for forms, decimal in ((_ENGLISH, "."), (_GERMAN, ","))
    for form, bounds in forms
)
_PLAIN = re.compile(r"(?<![\w.,€$£-])\d{1,9}(?![\w%€$£]|[.,-]\w)")


@dataclass(frozen=True, slots=True)
class NumberPhrase:
    """A number with how it bounds something; without bounds it is the number itself."""

    span: Span
    bounds: dict[Bound, float]
    number: int | None = None

    def of(self, field: str) -> Range:
        """The bounds as a condition."""
        gt, gte, lt, lte = (self.bounds.get(bound) for bound in BOUNDS)
        return Range(field, gt=gt, gte=gte, lt=lt, lte=lte)


def find(text: str) -> Iterator[NumberPhrase]:
    """Numbers with what is said of them, none overlapping another."""
    taken: list[Span] = []
    for pattern, wanted, decimal in _PATTERNS:
        for match in pattern.finditer(text):
            span = Span(*match.span())
            if any(span.overlaps(other) for other in taken):
                continue
            taken.append(span)
            read = [_number(match[name], decimal) for name in pattern.groupindex]
            yield NumberPhrase(span, {bound: read[place] for bound, place in wanted.items()})
    for match in _PLAIN.finditer(text):
        span = Span(*match.span())
        if not any(span.overlaps(other) for other in taken):
            yield NumberPhrase(span, {}, int(match.group()))


def _number(text: str, decimal: str) -> float:
    text = text.strip(" €$£")
    thousands = "," if decimal == "." else "."
    if re.fullmatch(rf"\d{{1,3}}(?:\{thousands}\d{{3}})+(?:\{decimal}\d+)?", text):
        return float(text.replace(thousands, "").replace(decimal, "."))
    return float(text.replace(",", "."))
