"""Dates in questions, in English and German: "since 2023", "vor März 2024", "between 2019 and 2021". Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from sluice_retriever.domain.phrases.words import Span

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner",
            "february feb februar",
            "march mar märz",
            "april apr",
            "may mai",
            "june jun juni",
            "july jul juli",
            "august aug",
            "september sept sep",
            "october oct oktober okt",
            "november nov",
            "december dec dezember dez",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_YEAR = r"(?:19|20)\d\d"

#: A day, a month or a year. The year must not be the start of something else: a price, a part number, a share.
_MOMENT = (
    rf"(?:{_YEAR}-\d\d-\d\d|\d{{1,2}}\.\d{{1,2}}\.{_YEAR}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?\ (?:of\ )?(?:{_MONTH})\.?,?\ {_YEAR}"
    rf"|(?:{_MONTH})\ \d{{1,2}}(?:st|nd|rd|th)?,?\ {_YEAR}|(?:{_MONTH})\.?\ {_YEAR}|{_YEAR}-\d\d"
    rf"|(?:the\ year\ |year\ |dem\ jahr\ |jahr\ )?{_YEAR}"
    r"|this\ year|last\ year|diese[sm]\ jahr|letzte[snm]\ jahr)"
    r"(?![\w€$£%]|-\w|[.,:]\d|\ (?:€|\$|£|%|euros?\b|dollars?\b|usd\b|eur\b|k[gm]\b|mm\b|percent\b|prozent\b))"
)


@dataclass(frozen=True, slots=True)
class DatePhrase:
    """A stretch of time as a question names it."""

    span: Span
    since: date | None
    """Its first day."""
    until: date | None
    """The day after its last."""
    years: bool
    """Whether it consists of whole years."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    since: date
    until: date
    year: bool


_Bounds = tuple[date | None, date | None]

#: In this order: what is longer comes first. The second moment is None where there is one.
_FORMS: tuple[tuple[str, Callable[[_Stretch, _Stretch], _Bounds]], ...] = (
    (r"(?:between|zwischen)\ {A}\ (?:and|und)\ {B}", lambda a, b: (a.since, b.until)),
    (r"(?:from|von)\ {A}\ (?:to|until|till|through|bis)\ {B}", lambda a, b: (a.since, b.until)),
    (r"from\ {A}\ (?:onwards?|on(?=\W*$|[,.;:)]))", lambda a, _: (a.since, None)),
    (
        r"(?:(?:in|from|im|aus)\ )?{A}\ (?:or|and|oder|und)\ (?:later|newer|später|neuer)",
        lambda a, _: (a.since, None),
    ),
    (
        r"(?:(?:in|from|im|aus)\ )?{A}\ (?:or|and|oder|und)\ (?:earlier|older|früher|älter)",
        lambda a, _: (None, a.until),
    ),
    (r"(?:since|starting\ in|seit(?:\ dem)?|ab(?:\ dem)?)\ {A}", lambda a, _: (a.since, None)),
    (r"(?:after|later\ than|nach(?:\ dem)?)\ {A}", lambda a, _: (a.until, None)),
    (r"(?:before|prior\ to|earlier\ than|vor(?:\ dem)?)\ {A}", lambda a, _: (None, a.since)),
    (r"(?:until|till|up\ to|bis(?:\ zum)?)\ {A}", lambda a, _: (None, a.until)),
    (r"(?:in|on|from|of|for|during|dated|im|am|aus|von|vom|für)\ {A}", lambda a, _: (a.since, a.until)),
    (r"{A}", lambda a, _: (a.since, a.until)),
)
_PATTERNS = tuple(
    (
        re.compile(rf"(?<![\w.,-]){form.format(A=f'(?P<a>{_MOMENT})', B=f'(?P<b>{_MOMENT})')}(?!\w)", re.I),
        bounds,
    )
    for form, bounds in _FORMS
)
#: Years that stand alone, without a word such as "year" or "in" before them, are mostly part of a name.
_BARE = re.compile(rf"{_YEAR}(?:-\d\d)?", re.I)


def find(text: str, today: date) -> Iterator[DatePhrase]:
    """Dates with what is said of them, none overlapping another."""
    taken: list[Span] = []
    for pattern, bounds in _PATTERNS:
        for match in pattern.finditer(text):
            span = Span(*match.span())
            if any(span.overlaps(other) for other in taken):
                continue
            taken.append(span)
            if _BARE.fullmatch(match.group()):
                continue
            try:
                first = _stretch(match["a"], today)
                second = _stretch(match["b"], today) if "b" in pattern.groupindex else first
            except (ValueError, OverflowError):
                continue  # no such day
            since, until = bounds(first, second)
            if since is None or until is None or since < until:
                yield DatePhrase(span, since, until, first.year and second.year)


def _stretch(text: str, today: date) -> _Stretch:
    """All of a day, a month or a year."""
    text = text.lower()
    if not any(character.isdigit() for character in text):
        year = today.year - (text.startswith(("last", "letzte")))
        return _whole_year(year)
    if re.fullmatch(rf"\D*{_YEAR}", text) and not (month := _month(text)):
        return _whole_year(int(text[-4:]))
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if (month := _month(text)) is None:
        if numbers[0] < numbers[-1]:
            numbers.reverse()  # 15.03.2024
        year, month, *days = numbers
    else:
        *days, year = numbers
    if days:
        day = date(year, month, days[0])
        return _Stretch(day, day + timedelta(days=1), year=False)
    following = date(year + month // 12, month % 12 + 1, 1)
    return _Stretch(date(year, month, 1), following, year=False)


def _whole_year(year: int) -> _Stretch:
    return _Stretch(date(year, 1, 1), date(year + 1, 1, 1), year=True)


def _month(text: str) -> int | None:
    return next((number for word in re.findall(r"[^\W\d]+", text) if (number := _MONTHS.get(word))), None)
