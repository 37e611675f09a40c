"""A filter read out of a question, by rules: what it says of the knowledge base's declared fields, in English and
German. Pure.

A filter that is wrong hides the answer, and one that is missing only leaves it to the ranking. So nothing is read
unless the question names a field beside what it says of it, or leaves no other reading: a date right after a word for
documents, an amount of money beside a single price, a proper name of several words that only one field holds.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from sluice_api.datetimes import midnight
from sluice_api.filtering import Condition, DatetimeRange, Filter, Match, Range
from sluice_api.objects.knowledge_base import FieldType, MetadataField
from sluice_retriever.domain.phrases import dates, numbers
from sluice_retriever.domain.phrases.naming import Reading, date_field, number_field, of_years
from sluice_retriever.domain.phrases.values import booleans, values_named
from sluice_retriever.domain.phrases.words import Question, Span, cues

#: A longer question is a document.
_MOST_CHARACTERS = 1000

#: Who asks whether or when something is so does not say that it is.
_CHECKS = re.compile(
    r"""\W*(?:(?:is|are|were|did|does|do|has|have|had|can|could|should|will|would|may|must|since\ when|when|if|whether
    |ist|sind|war|waren|wurde|wurden|wird|werden|hat|haben|hatte|kann|können|darf|soll|muss|gilt|wann|seit\ wann
    |bis\ wann|ob
    |was(?!.*\b(?:der|die|das|dem|den|und|über|zum|zur|von|vom|wurde|ist|hat|haben|sind|für|seit|nach)\b)  # English
    )\b)(?!\ (?:there|you|we\ have)\b)""",
    re.I | re.X,
)
_NEGATIONS = frozenset(
    "not no never except excluding without unlike instead nor other nicht kein keine keinen keiner nie außer ohne statt"
    " weder sondern".split()
)
_ALTERNATIVES = frozenset({"or", "either", "oder", "entweder"})
_NEGATED_WITHIN = 3


@dataclass(frozen=True, slots=True)
class SelfQuery:
    """What was read out of a question."""

    filter: Filter | None = None
    phrases: tuple[str, ...] = ()
    """What of the question it was read from, in its order."""


def extract(
    text: str,
    declared: Sequence[MetadataField],
    values: Mapping[str, Iterable[str]],
    today: date,
    taken: Set[str] = frozenset(),
) -> SelfQuery:
    """The filter that a question asks for; none where it is not sure that it asks for one.

    Args:
        text: The question, which stays as it is.
        declared: The knowledge base's fields.
        values: Known values of keyword fields, by field.
        today: What "this year" is meant from.
        taken: Fields that the caller's own filter names; nothing is read for them.
    """
    if len(text) > _MOST_CHARACTERS or _CHECKS.match(text):
        return SelfQuery()
    question = Question(text)
    fields = [field for field in declared if field.name not in taken]
    readings = [*_dates(question, fields, today)]
    stretches = [reading.span for reading in readings]
    readings += _numbers(question, fields, stretches)
    readings += booleans(question, fields)
    readings += values_named(question, fields, values)
    sure = _sure(question, sorted(readings, key=lambda reading: reading.span.start))
    if not sure:
        return SelfQuery()
    return SelfQuery(
        Filter(must=tuple(reading.condition for reading in sure)),
        tuple(text[reading.span.start : reading.span.end] for reading in sure),
    )


def _dates(question: Question, fields: Sequence[MetadataField], today: date) -> Iterable[Reading]:
    for phrase in dates.find(question.text, today):
        if found := date_field(question, fields, phrase.span, years=phrase.years):
            field, span = found
            if field.type is FieldType.INTEGER:
                yield Reading(span, field.name, _years(field.name, phrase))
            else:
                since, until = (
                    None if day is None else midnight(day) for day in (phrase.since, phrase.until)
                )
                yield Reading(span, field.name, DatetimeRange(field.name, gte=since, lt=until))


def _years(field: str, phrase: dates.DatePhrase) -> Condition:
    since, until = (None if day is None else day.year for day in (phrase.since, phrase.until))
    if since is not None and until == since + 1:
        return Match(field, (since,))
    return Range(field, gte=since, lt=until)


def _numbers(
    question: Question, fields: Sequence[MetadataField], dates_: Sequence[Span]
) -> Iterable[Reading]:
    for phrase in numbers.find(question.text):
        if any(phrase.span.overlaps(other) for other in dates_):
            continue
        if phrase.bounds and (found := number_field(question, fields, phrase.span)):
            field, span = found
            yield Reading(span, field.name, phrase.of(field.name))
        elif phrase.number is not None and (found := _numbered(question, fields, phrase.span)):
            field, span = found
            yield Reading(span, field.name, Match(field.name, (phrase.number,)))


def _numbered(
    question: Question, fields: Sequence[MetadataField], at: Span
) -> tuple[MetadataField, Span] | None:
    """The field that a plain number belongs to: its name stands right before it, as in "version 3"."""
    for field in fields:
        if field.type is FieldType.INTEGER and not of_years(field):
            for cue in cues(field):
                if tuple(question.before(at.start, len(cue))) == cue:
                    return field, at
    return None


def _sure(question: Question, readings: Sequence[Reading]) -> list[Reading]:
    """Those readings that nothing in the question speaks against, in its order."""
    for one, following in pairwise(readings):
        if _ALTERNATIVES & {*question.between(one.span, following.span)}:
            return []  # all conditions hold together, and that is not what it says
    times = Counter(reading.field for reading in readings)
    return [
        reading
        for reading in readings
        if (times[reading.field] == 1 or _bound_together(reading.field, readings))
        and not _NEGATIONS & {*question.before(reading.span.start, _NEGATED_WITHIN)}
    ]


def _bound_together(field: str, readings: Sequence[Reading]) -> bool:
    """Whether one of two says from where and the other up to where."""
    conditions = [reading.condition for reading in readings if reading.field == field]
    ranges = [each for each in conditions if isinstance(each, Range | DatetimeRange)]
    lower = [each.gt is not None or each.gte is not None for each in ranges]
    upper = [each.lt is not None or each.lte is not None for each in ranges]
    return len(conditions) == len(ranges) == 2 and lower != upper and all(map(bool.__ne__, lower, upper))
