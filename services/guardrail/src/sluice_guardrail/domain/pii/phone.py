"""Phone numbers, by the numbering plans that the library `phonenumbers` knows."""

import itertools
import re
from collections.abc import Iterator
from typing import ClassVar

import phonenumbers

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.pii.context import SOMETHING_ELSE, SOMETHING_ELSE_SHARE, words
from sluice_guardrail.domain.pii.recogniser import END, START, Candidate, Scan

#: Groups of digits with small gaps; a first group or one after the country may stand in brackets.
_GAP = r"[ ./-]{0,2}"
_GROUPS = rf"(?:{_GAP}\(?[0-9]{{1,11}}\)?){{0,8}}"
#: What may follow a number and is no part of it.
_EXTENSION = r"x[0-9]{1,6}(?![0-9A-Za-z_])"
_INTERNATIONAL = re.compile(rf"(?<![0-9A-Za-z_+])\+[0-9]{{1,15}}{_GROUPS}", re.ASCII)
_NATIONAL = re.compile(rf"{START}\(?[0-9]{{2,11}}\)?{_GROUPS}", re.ASCII)
#: As North America writes them, enough to need no word nearby.
_NORTH_AMERICAN = re.compile(
    rf"{START}(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}-)[2-9][0-9]{{2}}-[0-9]{{4}}(?:(?={_EXTENSION})|{END})"
)
_GROUP_END = re.compile(r"[0-9]\)?(?=[ ./(-])")
_GOES_ON = re.compile(rf"(?!{_EXTENSION})(?:[0-9A-Za-z_]|[./@-][0-9A-Za-z])", re.ASCII)
#: Digits of a number, its country included where it is given.
_FEWEST, _MOST = 7, 15
_INTERNATIONAL_SCORE, _NORTH_AMERICAN_SCORE, _NATIONAL_SCORE = 0.75, 0.6, 0.3
#: The least that a word nearby makes of any of them, and what it adds.
_NAMED_SCORE, _NAMED_MORE = 0.8, 0.2
#: Plans that a number without a country may follow; last those that allow nearly any number of digits.
_REGIONS = ("US", "GB", "FR", "ES", "NL", "PL", "IN", "BR", "IT", "DE")
_WORDS = words(
    """
    phone telephone tel call mobile cell_phone cell_number cellphone fax whatsapp sms
    text_me dial hotline telefon telefonnummer handynummer mobil rufnummer anrufen appelez appeler
    telefono movil celular llama llamar cellulare telefone telemovel ligue telefoon mobiel komorka 电话 手机 電話
    """,
    before=40,
    after=0,
)
#: Look-ups in the numbering plans for one text; a text that needs more was made to take long.
_LOOK_UPS = 2_000


class PhoneRecogniser:
    """Without a `+` a number counts where a word nearby says so, or where it is written as North America does."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.PHONE,))

    def __init__(self) -> None:
        """Reads the plans: the first look-up in one takes milliseconds that no call should wait for."""
        plans = _Plans(len(_REGIONS))
        for region in _REGIONS:
            plans.look_up("5550132", region)

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each number; those that start within one already found are passed over."""
        plans = _Plans(_LOOK_UPS)
        done = 0
        for number in scan.numbers:
            if number < done:
                continue
            start = number - (scan.text[number - 1 : number] in ("+", "("))
            for written, regions, score in _written(scan, start):
                found = plans.longest(written, regions)
                if found is not None:
                    done, value = found
                    span = Span(start, done)
                    yield Candidate(PiiEntity.PHONE, span, _score(scan, span, score), value)
                    break
                if written[0].startswith("+"):  # what names a country is not read without it
                    done = written.end()
        if plans.exhausted:
            scan.unread.add(f"phone numbers after {_LOOK_UPS} look-ups")


def _written(scan: Scan, start: int) -> Iterator[tuple[re.Match[str], tuple[str | None, ...], float]]:
    """The ways in which a number may be written here: what is written, whose plans to look in, the score."""
    if match := _INTERNATIONAL.match(scan.text, start):
        yield match, (None,), _INTERNATIONAL_SCORE
    if match := _NORTH_AMERICAN.match(scan.text, start):
        yield match, ("US",), _NORTH_AMERICAN_SCORE
    match = _NATIONAL.match(scan.text, start)
    if match and sum(map(str.isdigit, match[0])) >= _FEWEST and _WORDS.near(scan, Span(*match.span())):
        yield match, _REGIONS, _NATIONAL_SCORE


class _Plans:
    """The numbering plans, with an end to how often they are asked."""

    def __init__(self, left: int) -> None:
        self._left = left
        self.exhausted = False

    def longest(self, match: re.Match[str], regions: tuple[str | None, ...]) -> tuple[int, str] | None:
        """The end and value of the longest beginning that a plan allows; other numbers may follow after a gap."""
        ends = [match.start() + group.end() for group in _GROUP_END.finditer(match[0])]
        if not _GOES_ON.match(match.string, match.end()):
            ends.append(match.end())
        for region, end in itertools.product(regions, reversed(ends)):
            value = self.look_up(match.string[match.start() : end], region)
            if value is not None:
                return end, value
        return None

    def look_up(self, written: str, region: str | None) -> str | None:
        """The number in international form without its `+`; None where the plan does not allow it."""
        if not _FEWEST <= sum(map(str.isdigit, written)) <= _MOST:
            return None
        if self._left == 0:
            self.exhausted = True
            return None
        self._left -= 1
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_valid_number(number):
            return None
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def _score(scan: Scan, span: Span, score: float) -> float:
    if _WORDS.near(scan, span):
        return max(_NAMED_SCORE, score + _NAMED_MORE)
    return score * SOMETHING_ELSE_SHARE if SOMETHING_ELSE.near(scan, span) else score
