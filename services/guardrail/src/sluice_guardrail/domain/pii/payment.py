"""Payment cards and bank accounts."""

from stdnum import iban, luhn

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.pii.checked_number import CheckedNumber, Scores, bounded
from sluice_guardrail.domain.pii.context import words

#: Issuer's prefixes as a range of the first digits, and the lengths it issues. Source: ISO/IEC 7812 registrations as
#: the networks publish them. Visa's old 13 digits are left out: they are EAN codes today.
_ISSUERS: tuple[tuple[range, int, tuple[int, ...]], ...] = (
    (range(4, 5), 1, (16, 19)),  # Visa
    (range(51, 56), 2, (16,)),  # Mastercard
    (range(2221, 2721), 4, (16,)),
    (range(34, 35), 2, (15,)),  # American Express
    (range(37, 38), 2, (15,)),
    (range(6011, 6012), 4, (16, 19)),  # Discover
    (range(644, 660), 3, (16, 19)),
    (range(3528, 3590), 4, (16, 19)),  # JCB
    (range(300, 306), 3, (14, 16)),  # Diners Club
    (range(36, 37), 2, (14, 16, 19)),
    (range(38, 40), 2, (14, 16)),
    (range(62, 63), 2, (16, 17, 18, 19)),  # UnionPay
    (range(5018, 5021), 4, (16, 18, 19)),  # Maestro
    (range(6761, 6764), 4, (16, 18, 19)),
)


def _is_card(number: str) -> bool:
    return any(
        len(number) in lengths and int(number[:digits]) in prefixes for prefixes, digits, lengths in _ISSUERS
    ) and luhn.is_valid(number)


def _is_iban(number: str) -> bool:
    """Length, structure, mod 97. Countries' registers of banks age, so they are not asked."""
    return iban.is_valid(number, check_country=False)


CREDIT_CARD = CheckedNumber(
    PiiEntity.CREDIT_CARD,
    bounded(
        r"[0-9]{14,19}"
        r"|[0-9]{4}(?:[ \n-][0-9]{4}){3}(?:[ \n-][0-9]{1,3})?"
        r"|[0-9]{4}[ \n-][0-9]{6}[ \n-][0-9]{4,5}"
    ),
    _is_card,
    words(
        """
        card visa mastercard amex american_express discover diners jcb unionpay maestro debit pan cvv cvc
        karte kreditkarte kartennummer carte carte_bancaire tarjeta carta cartao kaart karta 卡号 信用卡 カード
        """
    ),
    Scores(bare=0.6, spaced=0.8, named=0.98),
)

IBAN = CheckedNumber(
    PiiEntity.IBAN,
    bounded(r"[A-Z]{2}[0-9]{2}(?:[ \n-]?[0-9A-Z]{4}){2,7}(?:[ \n-]?[0-9A-Z]{1,3})?"),
    _is_iban,
    words("iban account bank konto kontonummer compte cuenta conto conta rekening rachunek swift bic"),
    Scores(bare=0.9, spaced=0.9, named=0.99),
    lead=2,
)
