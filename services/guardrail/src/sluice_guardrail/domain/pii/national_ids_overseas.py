"""Identity, tax, health and travel numbers of Asia, Australia and North America."""

from datetime import date

from stdnum.au import tfn
from stdnum.ca import sin
from stdnum.iso7064 import mod_11_2
from stdnum.jp import in_
from stdnum.kr import rrn

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.pii.checked_number import CheckedNumber, Scores, bounded
from sluice_guardrail.domain.pii.context import words

#: One number in ten or eleven passes, and other things are written so too.
_WEAK = Scores(bare=0.2, spaced=0.3, named=0.85)
#: There is no check digit at all.
_NAMED_ALONE = Scores(bare=0.0, spaced=0.0, named=0.7)

_PROVINCES = frozenset(
    """
    11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83
    """.split()
)
_MEDICARE_WEIGHTS = (1, 3, 7, 9, 1, 3, 7, 9)
_NRIC_WEIGHTS = (2, 7, 6, 5, 4, 3, 2)
#: Letters by the remainder. Source: the algorithm as published for S and T, F and G, and M (since 2022).
_NRIC_LETTERS = {
    "S": "JZIHGFEDCBA",
    "T": "GFEDCBAJZIH",
    "F": "XWUTRQPNMLK",
    "G": "RQPNMLKXWUT",
    "M": "XWUTRQPNJLK",
}


def _is_medicare(number: str) -> bool:
    """Eight digits, their check digit, the number of the card's issue; the first is 2 to 6."""
    if len(number) != 10:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_MEDICARE_WEIGHTS, number, strict=False))
    return number[0] in "23456" and total % 10 == int(number[8]) and number[9] != "0"


def _is_nric(number: str) -> bool:
    total = sum(weight * int(digit) for weight, digit in zip(_NRIC_WEIGHTS, number[1:8], strict=True))
    kind = number[0]
    if kind == "M":
        return _NRIC_LETTERS[kind][10 - (total + 3) % 11] == number[8]
    return _NRIC_LETTERS[kind][total % 11] == number[8]


def _is_resident_id(number: str) -> bool:
    """A province, a date of birth, a check character. Counties change too often to be asked."""
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return number[:2] in _PROVINCES and born.year >= 1900 and mod_11_2.is_valid(number)


def _is_any(number: str) -> bool:
    return len(set(number)) > 1


AU_TFN = CheckedNumber(
    PiiEntity.AU_TFN,
    bounded(r"[0-9]{8,9}|[0-9]{3}[ -][0-9]{3}[ -][0-9]{2,3}"),
    tfn.is_valid,
    words("tfn tax_file tax_file_number"),
    _WEAK,
)
AU_MEDICARE = CheckedNumber(
    PiiEntity.AU_MEDICARE,
    bounded(r"[0-9]{10}|[0-9]{4}[ -][0-9]{5}[ -][0-9]"),
    _is_medicare,
    words("medicare medicare_card"),
    _WEAK,
)
CA_SIN = CheckedNumber(
    PiiEntity.CA_SIN,
    bounded(r"[0-9]{9}|[0-9]{3}[ -][0-9]{3}[ -][0-9]{3}"),
    sin.is_valid,
    words(
        "sin_number social_insurance social_insurance_number assurance_sociale nas canadian_sin sin_is sin:"
    ),
    _WEAK,
)
CN_RESIDENT_ID = CheckedNumber(
    PiiEntity.CN_RESIDENT_ID,
    bounded(r"[0-9]{17}[0-9X]"),
    _is_resident_id,
    words("身份证 身份证号 身份证号码 公民身份 identity_card resident_id id_card id_number"),
    Scores(bare=0.8, spaced=0.8),
)
JP_MY_NUMBER = CheckedNumber(
    PiiEntity.JP_MY_NUMBER,
    bounded(r"[0-9]{12}|[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}(?![ -][0-9])"),
    in_.is_valid,
    words("マイナンバー 個人番号 my_number individual_number"),
    _WEAK,
)
KR_RRN = CheckedNumber(
    PiiEntity.KR_RRN,
    bounded(r"[0-9]{6}-?[0-9]{7}"),
    rrn.is_valid,
    words("주민등록번호 주민번호 resident_registration resident_registration_number rrn"),
    Scores(bare=0.3, spaced=0.75),
)
SG_NRIC = CheckedNumber(
    PiiEntity.SG_NRIC,
    bounded(r"[STFGM][0-9]{7}[A-Z]"),
    _is_nric,
    words("nric fin identity_card ic_number nric_no singpass"),
    Scores(bare=0.55, spaced=0.55),
    lead=1,
)
US_PASSPORT = CheckedNumber(
    PiiEntity.US_PASSPORT,
    bounded(r"[0-9]{9}"),
    _is_any,
    words("passport passport_number passport_no pasaporte passeport reisepass", before=40),
    _NAMED_ALONE,
)
US_PASSPORT_NEW = CheckedNumber(
    PiiEntity.US_PASSPORT,
    bounded(r"[A-Z][0-9]{8}"),
    _is_any,
    words("passport passport_number passport_no pasaporte passeport reisepass", before=40),
    _NAMED_ALONE,
    lead=1,
)
_LICENCE = words(
    """
    driver_license driver_licence drivers_license drivers_licence driver's_license driver's_licence driving_licence
    driving_license licence_number license_number dl_number dl_no dln
    """,
    before=40,
)
US_DRIVER_LICENSE = CheckedNumber(
    PiiEntity.US_DRIVER_LICENSE, bounded(r"[0-9]{7,12}"), _is_any, _LICENCE, _NAMED_ALONE
)
US_DRIVER_LICENSE_LETTER = CheckedNumber(
    PiiEntity.US_DRIVER_LICENSE,
    bounded(r"[A-Z][0-9]{3}-?[0-9]{4}-?[0-9]{4}|[A-Z][0-9]{6,14}"),
    _is_any,
    _LICENCE,
    _NAMED_ALONE,
    lead=1,
)

OVERSEAS = (
    AU_MEDICARE,
    AU_TFN,
    CA_SIN,
    CN_RESIDENT_ID,
    JP_MY_NUMBER,
    KR_RRN,
    SG_NRIC,
    US_PASSPORT,
    US_PASSPORT_NEW,
    US_DRIVER_LICENSE,
    US_DRIVER_LICENSE_LETTER,
)
