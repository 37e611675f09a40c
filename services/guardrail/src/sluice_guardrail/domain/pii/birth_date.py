"""Dates of birth: a date, and a word that says whose it is."""

import re
from collections.abc import Iterator
from datetime import date
from typing import ClassVar

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.pii.context import words
from sluice_guardrail.domain.pii.recogniser import END, START, Candidate, Scan

_MONTHS = (
    "jan january januar janvier enero gennaio janeiro januari styczen stycznia",
    "feb february februar fevrier février febrero febbraio fevereiro februari lutego",
    "mar march marz märz mars marzo março marco maart marca",
    "apr april avril abril aprile kwietnia",
    "may mai mayo maggio maio mei maja",
    "jun june juni juin junio giugno junho czerwca",
    "jul july juli juillet julio luglio julho lipca",
    "aug august aout août agosto augustus sierpnia",
    "sep sept september septembre septiembre settembre setembro wrzesnia września",
    "oct okt october oktober octobre octubre ottobre outubro pazdziernika października",
    "nov november novembre noviembre novembro listopada",
    "dec dez december dezember decembre décembre diciembre dicembre dezembro grudnia",
)
_MONTH_OF = {name: index + 1 for index, names in enumerate(_MONTHS) for name in names.split()}
_NAME = r"(?P<name>[^\W\d_]{3,12})\.?"
_YEAR = r"(?P<year>(?:19|20)[0-9]{2})"
_FORMS = tuple(
    re.compile(f"{START}(?:{form}){END}")
    for form in (
        rf"{_YEAR}[-/.](?P<month>[0-9]{{1,2}})[-/.](?P<day>[0-9]{{1,2}})",
        rf"{_YEAR} ?年 ?(?P<month>[0-9]{{1,2}}) ?月 ?(?P<day>[0-9]{{1,2}}) ?日",
        rf"(?P<day>[0-9]{{1,2}})[-/. ](?P<month>[0-9]{{1,2}})[-/. ]{_YEAR}",
        rf"(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th|er|\.)? (?:of |de |di )?{_NAME} (?:de |del )?{_YEAR}",
    )
)
_AMERICAN = re.compile(rf"{_NAME} (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,? {_YEAR}{END}")
_WORD_BEFORE = re.compile(r"[^\W\d_]+\.? \Z")
_NAMED = words(
    """
    date_of_birth birth_date birthdate birthday dob d.o.b geburtsdatum geburtstag date_de_naissance ne_le
    nee_le fecha_de_nacimiento nacido_el nacida_el data_di_nascita nato_il nata_il data_de_nascimento nascido_em
    nascida_em geboortedatum data_urodzenia 生年月日 出生日期 생년월일 geb
    """,
    before=40,
    after=0,
)
#: What an encyclopaedia says of anybody, too.
_BORN = words("born born_on geboren geboren_am born_in", before=24, after=0)
_NAMED_SCORE, _BORN_SCORE = 0.85, 0.4


class BirthDateRecogniser:
    """Reads dates where a word before them speaks of birth."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.DATE_OF_BIRTH,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each date that is one."""
        if not (scan.holds(_NAMED.pattern) or scan.holds(_BORN.pattern)):
            return
        done = 0
        for number in scan.numbers:
            match = _date(scan.text, number) if number >= done else None
            if match is None:
                continue
            span = Span(*match.span())
            score = _NAMED_SCORE if _NAMED.near(scan, span) else 0.0
            score = score or (_BORN_SCORE if _BORN.near(scan, span) else 0.0)
            if score:
                done = span.end
                yield Candidate(PiiEntity.DATE_OF_BIRTH, span, score, match[0].lower())


def _date(text: str, start: int) -> re.Match[str] | None:
    for form in _FORMS:
        if (match := form.match(text, start)) and _is_date(match):
            return match
    # "March 12, 1984": the month stands before the first digit.
    word = _WORD_BEFORE.search(text, max(0, start - 14), start)
    match = _AMERICAN.match(text, word.start()) if word else None
    return match if match and _is_date(match) else None


def _is_date(match: re.Match[str]) -> bool:
    found = match.groupdict()
    name = found.get("name")
    month = _MONTH_OF.get(name.lower(), 0) if name else int(found["month"])
    day, year = int(found["day"]), int(found["year"])
    if month > 12 >= day and not name:  # as North America writes it
        month, day = day, month
    try:
        return date(year, month, day) <= date.today()  # noqa: DTZ011 - a day more or less is nothing here
    except ValueError:
        return False
