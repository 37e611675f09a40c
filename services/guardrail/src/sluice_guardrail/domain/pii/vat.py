"""VAT numbers of the European Union."""

from stdnum.eu import vat

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.pii.checked_number import CheckedNumber, Scores, bounded
from sluice_guardrail.domain.pii.context import words

#: Country codes as they stand before a VAT number; Greece writes EL.
_COUNTRIES = "AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK"
_WORDS = words(
    """
    vat vat_id vat_no vat_number vatin umsatzsteuer ust_id ust_idnr ust-idnr uid_nummer tva partita_iva p.iva iva nif
    btw btw_nummer moms alv nip dic kmkr pvn pvm
    """
)
#: Names of products and parts have that form too, and most countries' check leaves one number in ten.
_SCORES = Scores(bare=0.3, spaced=0.35, named=0.9)


def _is_vat(number: str) -> bool:
    """The fewest digits first: asking the country takes long."""
    return sum(map(str.isdigit, number)) >= 7 and vat.is_valid(number)


def _vat(pattern: str, lead: int) -> CheckedNumber:
    return CheckedNumber(PiiEntity.EU_VAT, bounded(pattern), _is_vat, _WORDS, _SCORES, lead)


EU_VAT = (
    _vat(rf"(?:{_COUNTRIES})[0-9][0-9A-Z]{{7,11}}|(?:{_COUNTRIES})[0-9](?:[ .]?[0-9A-Z]){{7,11}}", 2),
    _vat(rf"(?:ATU|CYX|ES[A-Z]|(?:{_COUNTRIES})[ -])[0-9](?:[ .]?[0-9A-Z]){{6,11}}", 3),
)
