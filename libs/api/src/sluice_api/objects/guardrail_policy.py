"""`GuardrailPolicy` (`grp`): what the gates look for and what they do about it."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sluice_api.objects.base import Model, SluiceObject

Score = Annotated[float, Field(ge=0.0, le=1.0)]


class Action(StrEnum):
    """What a gate does when a detector's score reaches its threshold."""

    ALLOW = "allow"
    """Nothing; the detector is off."""
    FLAG = "flag"
    """Reports it; the text goes on."""
    BLOCK = "block"
    """Ends the run with a reason."""


class StreamingMode(StrEnum):
    """When the text of a streamed answer leaves."""

    WITHHOLD = "withhold"
    """After the whole answer was screened. Nothing unscreened can leak."""
    WINDOW = "window"
    """Sentence by sentence, each after it was screened with what came before. Checks on the whole answer can
    only end the stream early."""
    DETECT = "detect"
    """At once; findings are only recorded."""


class Detector(Model):
    """One detector's threshold and action."""

    action: Action = Action.BLOCK
    threshold: Score = 0.5
    """The score from which the action is taken."""


class PiiEntity(StrEnum):
    """Kinds of personal data; a finding's category is one of them."""

    EMAIL = "email"
    """E-mail addresses of persons."""
    PHONE = "phone"
    """Phone numbers that a country's numbering plan allows."""
    CREDIT_CARD = "credit-card"
    """Card numbers: an issuer's prefix and length, Luhn's check digit."""
    IBAN = "iban"
    """Bank accounts: the country's length and structure, mod 97."""
    IP_ADDRESS = "ip-address"
    """Public IPv4 and IPv6 addresses; private, loopback and documentation ranges are nobody's."""
    US_SSN = "us-ssn"
    """Social Security numbers, without the ranges that are never issued."""
    BR_CPF = "br-cpf"
    """Brazil's taxpayer number."""
    DE_IDNR = "de-idnr"
    """Germany's tax identification number."""
    ES_NIF = "es-nif"
    """Spain's DNI and NIE."""
    FR_NIR = "fr-nir"
    """France's social security number."""
    GB_NHS = "gb-nhs"
    """The United Kingdom's NHS number."""
    IN_AADHAAR = "in-aadhaar"
    """India's identity number."""
    IT_CODICE_FISCALE = "it-codice-fiscale"
    """Italy's tax code."""
    NL_BSN = "nl-bsn"
    """The Netherlands' citizen service number."""
    PL_PESEL = "pl-pesel"
    """Poland's identity number."""


class PiiDetector(Detector):
    """Personal data: what identifies a person, checked and not only matched."""

    action: Action = Action.FLAG
    entities: Annotated[tuple[PiiEntity, ...], Field(min_length=1)] = tuple(PiiEntity)
    """The kinds to look for."""
    allow: Annotated[
        tuple[Annotated[str, Field(min_length=3, max_length=254)], ...], Field(max_length=256)
    ] = ()
    """What is never personal: exact values, however they are spaced (phone numbers with their `+` and country), and
    domains whose e-mail addresses, those of their subdomains too, are public."""


class InputDetectors(Model):
    """Detectors of the input gate."""

    prompt_injection: Detector = Detector()
    """Attempts to override or leak the instructions, in any view of the text."""
    pii: PiiDetector = PiiDetector()
    """Personal data in any message or tool result."""


class OutputDetectors(Model):
    """Detectors of the output gate."""

    citations: Detector = Detector()
    """`[n]` marks that name no passage."""
    groundedness: Detector = Detector(action=Action.FLAG, threshold=0.5)
    """Claims that the cited passages do not carry. The score is the share that is unsupported."""
    leakage: Detector = Detector()
    """Instructions or chat markup of the prompt appearing in the answer."""
    pii: PiiDetector = PiiDetector()
    """Personal data in the answer, whether or not a passage holds it too."""


class GuardrailPolicySpec(Model):
    """What both gates do."""

    input: InputDetectors = InputDetectors()
    output: OutputDetectors = OutputDetectors()
    documents: Detector = Detector(action=Action.FLAG)
    """Retrieved passages that try to instruct the model."""
    streaming: StreamingMode = StreamingMode.WITHHOLD
    block_message: Annotated[str, Field(max_length=1024)] = ""
    """What the caller reads when a gate blocks; a message that names the reason when empty."""
    max_input_characters: Annotated[int, Field(ge=1, le=4_000_000)] = 200_000
    """Longer input is refused, since it could not be scanned whole."""


class GuardrailPolicy(SluiceObject):
    """Detectors with thresholds and actions for both gates."""

    KIND: ClassVar[str] = "GuardrailPolicy"
    SHORT_NAME: ClassVar[str] = "grp"
    PLURAL: ClassVar[str] = "guardrailpolicies"

    spec: GuardrailPolicySpec = GuardrailPolicySpec()
