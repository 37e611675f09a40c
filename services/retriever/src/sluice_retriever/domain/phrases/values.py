"""Values of keyword and boolean fields that a question names. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from sluice_api.filtering import Match
from sluice_api.objects.knowledge_base import FieldType, MetadataField
from sluice_retriever.domain.phrases.naming import Reading
from sluice_retriever.domain.phrases.words import Cue, Question, Span, cues, split

_ONLY = frozenset({"only", "nur", "ausschließlich"})
_WHICH = frozenset({("that", "are"), ("which", "are"), ("that", "is"), ("which", "is")})
_NOT = frozenset({"not", "nicht"})
_ARE = frozenset({"sind", "ist"})
_DIE = frozenset({"die", "der", "das"})

#: Who weighs one thing against another wants to read of both.
_COMPARES = frozenset(
    "compare compared comparison compares versus vs than better difference differ differs between from als besser"
    " vergleich vergleiche zwischen unterschied".split()
)
_LISTS = frozenset({",", "or", "and", "oder", "und"})


def booleans(question: Question, fields: Sequence[MetadataField]) -> Iterable[Reading]:
    """Boolean fields that the question asks to be true or false: "only open access", "die nicht lieferbar sind"."""
    for field in fields:
        if field.type is FieldType.BOOL:
            for alias in {split(alias) for alias in field.aliases} - {()}:
                for place in question.places(alias):
                    before, after = question.before(place.start, 3), question.after(place.end, 1)
                    if _ONLY & {*before[-1:], *after}:
                        yield Reading(place, field.name, Match(field.name, (True,)))
                    elif negated := _is_said(before, after):
                        span = question.reaching_back(place, negated)
                        yield Reading(span, field.name, Match(field.name, (negated == _SAID,)))


#: Words before an alias that belong to it: "that are", and "not".
_SAID, _SAID_NOT = 1, 2


def _is_said(before: Sequence[str], after: Sequence[str]) -> int:
    """How many words before an alias say that it is so, or is not so; none where nothing does."""
    count = _SAID_NOT if before[-1:] and before[-1] in _NOT else _SAID
    rest = before[:-1] if count == _SAID_NOT else before
    relative = tuple(rest[-2:]) in _WHICH or (_DIE & {*rest[-1:]} and _ARE & {*after})
    return count if relative else 0


def values_named(
    question: Question, fields: Sequence[MetadataField], values: Mapping[str, Iterable[str]]
) -> Iterable[Reading]:
    """Values that stand beside their field's name, and proper names that only one field holds."""
    keywords = {field.name: cues(field) for field in fields if field.type is FieldType.KEYWORD}
    found: dict[str, list[tuple[Span, str]]] = {}
    places = _places(question, {name: values.get(name, ()) for name in keywords})
    for place, holders in places:
        named = {
            name: span
            for name in holders
            if (span := _beside(question, keywords[name], place, found.get(name, ())))
        }
        if not named and len(holders) == 1 and _is_proper(question, place, *holders.values()):
            named = {name: place for name in holders if not _COMPARES & {*question.words}}
        if len(named) == 1:
            [(name, span)] = named.items()
            found.setdefault(name, []).append((span, holders[name]))
    for name, said in found.items():
        span = said[0][0]
        for other, _ in said[1:]:
            span = span.with_(other)
        yield Reading(span, name, Match(name, tuple(dict.fromkeys(value for _, value in said))))


def _places(question: Question, values: Mapping[str, Iterable[str]]) -> list[tuple[Span, dict[str, str]]]:
    """Where values stand, in order, with the fields that have them; a longer value hides those within."""
    known: dict[Cue, dict[str, str]] = {}
    words = {*question.words}
    for name, some in values.items():
        for value in some:
            if (parts := split(value)) and parts[0] in words:
                known.setdefault(parts, {})[name] = value
    taken: list[tuple[Span, dict[str, str]]] = []
    for parts, holders in sorted(known.items(), key=lambda item: -len(item[0])):
        for place in question.places(parts):
            if not any(place.overlaps(other) for other, _ in taken):
                taken.append((place, holders))
    return sorted(taken, key=lambda item: item[0].start)


def _beside(
    question: Question, names: frozenset[Cue], at: Span, earlier: Iterable[tuple[Span, str]]
) -> Span | None:
    if span := question.named(names, at):
        return span if span != at else None  # a value is not its own field's name
    # The next of a list goes on with what was said of the one before.
    for other, _ in earlier:
        between = question.between(other, at)
        if 1 <= len(between) <= 2 and {*between} <= _LISTS:
            return at
    return None


def _is_proper(question: Question, at: Span, value: str) -> bool:
    """Whether a value is a name of several words, written as it is."""
    words = value.split()
    written = question.text[at.start : at.end] == value
    return written and len(words) > 1 and all(not word.isalpha() or word[0].isupper() for word in words)
