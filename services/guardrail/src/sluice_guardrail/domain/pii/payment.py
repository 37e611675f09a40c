"""Payment cards and bank accounts."""

from string import ascii_uppercase

from stdnum import iban, luhn

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.pii.checked_number import CheckedNumber, Scores, bounded
from sluice_guardrail.domain.pii.context import words

#: Prefixes of four digits that issuers have, and the lengths they issue. Source: the ranges of ISO/IEC 7812 as the
#: networks publish them. Visa's old 13 digits are left out: they are EAN codes today.
_ISSUERS: tuple[tuple[range, tuple[int, ...]], ...] = (
    (range(4000, 5000), (16, 19)),  # Visa
    (range(5100, 5600), (16,)),  # Mastercard
    (range(2221, 2721), (16,)),
    (range(3400, 3500), (15,)),  # American Express
    (range(3700, 3800), (15,)),
    (range(6011, 6012), (16, 19)),  # Discover
    (range(6440, 6600), (16, 19)),
    (range(3528, 3590), (16, 19)),  # JCB
    (range(3000, 3060), (14, 16)),  # Diners Club
    (range(3600, 3700), (14, 16, 19)),
    (range(3800, 4000), (14, 16)),
    (range(6200, 6300), (16, 17, 18, 19)),  # UnionPay
    (range(5018, 5021), (16, 18, 19)),  # Maestro
    (range(6761, 6764), (16, 18, 19)),
)
_LENGTHS = {prefix: lengths for prefixes, lengths in _ISSUERS for prefix in prefixes}
_LETTERS = str.maketrans({letter: str(index + 10) for index, letter in enumerate(ascii_uppercase)})


def _is_card(number: str) -> bool:
    return len(number) in _LENGTHS.get(int(number[:4]), ()) and luhn.is_valid(number)


def _is_iban(number: str) -> bool:
    """Length, structure, mod 97. Countries' registers of banks age, so they are not asked."""
    digits = (number[4:] + number[:4]).translate(_LETTERS)
    # The remainder first: it takes a tenth of the time, and is wrong for nearly all that only looks like an account.
    return int(digits) % 97 == 1 and iban.is_valid(number, check_country=False)


CREDIT_CARD = CheckedNumber(
    PiiEntity.CREDIT_CARD,
    bounded(
        r"[0-9]{14,19}"
        r"|[0-9]{4}(?:[ \n.-][0-9]{4}){3}(?:[ \n.-][0-9]{1,3})?"
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
