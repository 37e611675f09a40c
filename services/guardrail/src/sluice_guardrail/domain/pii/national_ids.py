"""Identity, tax and social security numbers. Where a check digit leaves one number in ten to chance, a word nearby must
name the number before it counts."""

from stdnum.br import cpf
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.us import ssn

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.pii.checked_number import CheckedNumber, Scores, bounded
from sluice_guardrail.domain.pii.context import words

#: One number in ten passes, and other things are written so too.
_WEAK = Scores(bare=0.2, spaced=0.3, named=0.85)


def _is_nir(number: str) -> bool:
    """The key, and a month: 1 to 12, or 20 and above for what is not known."""
    return nir.is_valid(number) and (1 <= int(number[3:5]) <= 12 or int(number[3:5]) >= 20)


US_SSN = CheckedNumber(
    PiiEntity.US_SSN,
    bounded(r"[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{9}|[0-9]{3} [0-9]{2} [0-9]{4}"),
    ssn.is_valid,
    words("ssn social_security social_security_number social_security_no"),
    Scores(bare=0.1, spaced=0.6),
)
BR_CPF = CheckedNumber(
    PiiEntity.BR_CPF,
    bounded(r"[0-9]{11}|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"),
    cpf.is_valid,
    words("cpf cadastro contribuinte"),
    Scores(bare=0.3, spaced=0.8),
)
DE_IDNR = CheckedNumber(
    PiiEntity.DE_IDNR,
    bounded(r"[0-9]{11}|[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}"),
    idnr.is_valid,
    words(
        """
        steuer_id steuer_idnr steueridentifikationsnummer steuerliche_identifikationsnummer idnr steuernummer tax_id
        identifikationsnummer
        """
    ),
    _WEAK,
)
ES_DNI = CheckedNumber(
    PiiEntity.ES_NIF,
    bounded(r"[0-9]{8}[ -]?[A-Z]"),
    dni.is_valid,
    words("dni nif documento_nacional identidad identificacion_fiscal"),
    Scores(bare=0.55, spaced=0.55),
)
ES_NIE = CheckedNumber(
    PiiEntity.ES_NIF,
    bounded(r"[XYZ][0-9]{7}[ -]?[A-Z]"),
    nie.is_valid,
    words("nie nif extranjero identidad identificacion_fiscal"),
    Scores(bare=0.6, spaced=0.6),
    lead=1,
)
FR_NIR = CheckedNumber(
    PiiEntity.FR_NIR,
    bounded(r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}"),
    _is_nir,
    words("nir insee securite_sociale numero_de_securite_sociale secu carte_vitale"),
    Scores(bare=0.6, spaced=0.8),
)
GB_NHS = CheckedNumber(
    PiiEntity.GB_NHS,
    bounded(r"[0-9]{10}|[0-9]{3}[ -][0-9]{3}[ -][0-9]{4}"),
    nhs.is_valid,
    words("nhs nhs_number national_health"),
    _WEAK,
)
IN_AADHAAR = CheckedNumber(
    PiiEntity.IN_AADHAAR,
    bounded(r"[0-9]{12}|[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}"),
    aadhaar.is_valid,
    words("aadhaar aadhar uidai"),
    _WEAK,
)
IT_CODICE_FISCALE = CheckedNumber(
    PiiEntity.IT_CODICE_FISCALE,
    bounded(r"[A-Z]{6}[0-9]{2}[ABCDEHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]"),
    codicefiscale.is_valid,
    words("codice_fiscale cf"),
    Scores(bare=0.9, spaced=0.9),
    lead=6,
)
NL_BSN = CheckedNumber(
    PiiEntity.NL_BSN,
    bounded(r"[0-9]{9}|[0-9]{4}[ .][0-9]{2}[ .][0-9]{3}"),
    bsn.is_valid,
    words("bsn burgerservicenummer sofinummer"),
    _WEAK,
)
PL_PESEL = CheckedNumber(
    PiiEntity.PL_PESEL,
    bounded(r"[0-9]{11}"),
    pesel.is_valid,
    words("pesel"),
    _WEAK,
)

NATIONAL_IDS = (
    US_SSN,
    BR_CPF,
    DE_IDNR,
    ES_DNI,
    ES_NIE,
    FR_NIR,
    GB_NHS,
    IN_AADHAAR,
    IT_CODICE_FISCALE,
    NL_BSN,
    PL_PESEL,
)
