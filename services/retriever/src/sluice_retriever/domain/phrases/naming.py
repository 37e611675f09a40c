"""Which declared field a date or a number in a question is said of. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice_api.filtering import Condition
from sluice_api.objects.knowledge_base import FieldType, MetadataField
from sluice_retriever.domain.phrases.words import Question, Span, cues, split

_YEARS = frozenset({"year", "jahr"})

#: A field of one of these words says when a document came to be.
_OF_DOCUMENTS = _YEARS | frozenset(
    "date datum published publication created written issued released dated erscheinungsdatum erschienen erstellt"
    " geschrieben veröffentlicht veröffentlichung".split()
)
_DOCUMENTS = frozenset(
    "document documents doc docs file files report reports paper papers article articles publication publications memo"
    " memos post posts entries study studies note notes dokument dokumente dokumenten datei dateien bericht berichte"
    " berichten artikel artikeln arbeit arbeiten aufsatz aufsätze aufsätzen veröffentlichung veröffentlichungen"
    " publikation publikationen beitrag beiträge beiträgen studie studien notiz notizen unterlagen".split()
)

_PRICES = frozenset("price prices cost costs fee fees preis preise kosten kostet gebühr".split())
_CURRENCIES = (
    frozenset("euro euros eur €".split()),
    frozenset("dollar dollars usd $".split()),
    frozenset("pound pounds gbp pfund £".split()),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A condition, and what of the question says it."""

    span: Span
    field: str
    condition: Condition


def date_field(
    question: Question, fields: Sequence[MetadataField], at: Span, *, years: bool
) -> tuple[MetadataField, Span] | None:
    """The field that a date is said of, with the part of the question that says so.

    Args:
        question: The question.
        fields: Those declared.
        at: The date.
        years: Whether it consists of whole years, so that a field of year numbers can be meant.
    """
    timely = [field for field in fields if field.type is FieldType.DATETIME or of_years(field)]
    fitting = [field for field in timely if years or field.type is FieldType.DATETIME]
    if named := _named(question, fitting, at):
        return named
    if not {*question.before(at.start, 1)} & _DOCUMENTS:
        return None
    ours = [field for field in timely if any({*cue} & _OF_DOCUMENTS for cue in cues(field))]
    return (ours[0], at) if len(ours) == 1 and ours[0] in fitting else None


def number_field(
    question: Question, fields: Sequence[MetadataField], at: Span
) -> tuple[MetadataField, Span] | None:
    """The field that a bound is said of, with the part of the question that says so."""
    numeric = [
        field
        for field in fields
        if field.type is FieldType.FLOAT or (field.type is FieldType.INTEGER and not of_years(field))
    ]
    if named := _named(question, numeric, at):
        return named
    last = Span(at.end, at.end)
    unit = [*split(question.text[at.start : at.end]), *question.after(last.end, 1)]
    money = next((words for words in _CURRENCIES if words & {*unit}), None)
    if money is None:
        return None
    prices = [field for field in numeric if any({*cue} & _PRICES for cue in cues(field))]
    if len(prices) != 1 or not _is_in(prices[0], money):
        return None
    return prices[0], at


def _named(
    question: Question, fields: Sequence[MetadataField], at: Span
) -> tuple[MetadataField, Span] | None:
    found = [(field, span) for field in fields if (span := question.named(cues(field), at))]
    return found[0] if len(found) == 1 else None


def of_years(field: MetadataField) -> bool:
    """Whether a field's numbers are years."""
    return field.type is FieldType.INTEGER and any(_YEARS & {*cue} for cue in cues(field))


def _is_in(price: MetadataField, money: frozenset[str]) -> bool:
    """Whether a price may be in this currency: none is named with the field, or this one is."""
    said: set[str] = {*split(price.description)}
    for cue in cues(price):
        said.update(cue)
    named = [words for words in _CURRENCIES if words & said]
    return not named or money in named
