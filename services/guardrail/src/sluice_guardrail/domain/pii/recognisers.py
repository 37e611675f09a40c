"""Every recogniser there is."""

from collections.abc import Collection

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.pii.birth_date import BirthDateRecogniser
from sluice_guardrail.domain.pii.credentials import (
    ApiKeyRecogniser,
    PrivateKeyRecogniser,
    SecretRecogniser,
    TokenRecogniser,
)
from sluice_guardrail.domain.pii.device import IMEI, MacRecogniser
from sluice_guardrail.domain.pii.email_address import EmailRecogniser
from sluice_guardrail.domain.pii.ip_address import IpAddressRecogniser
from sluice_guardrail.domain.pii.national_ids import NATIONAL_IDS
from sluice_guardrail.domain.pii.national_ids_overseas import OVERSEAS
from sluice_guardrail.domain.pii.payment import CREDIT_CARD, IBAN
from sluice_guardrail.domain.pii.phone import PhoneRecogniser
from sluice_guardrail.domain.pii.recogniser import Recogniser
from sluice_guardrail.domain.pii.vat import EU_VAT
from sluice_guardrail.domain.pii.wallet import WalletRecogniser


def recognisers(entities: Collection[PiiEntity]) -> tuple[Recogniser, ...]:
    """Those that find one of these kinds."""
    every: tuple[Recogniser, ...] = (
        EmailRecogniser(),
        PhoneRecogniser(),
        CREDIT_CARD,
        IBAN,
        IpAddressRecogniser(),
        *NATIONAL_IDS,
        *OVERSEAS,
        *EU_VAT,
        IMEI,
        MacRecogniser(),
        WalletRecogniser(),
        BirthDateRecogniser(),
        ApiKeyRecogniser(),
        PrivateKeyRecogniser(),
        TokenRecogniser(),
        SecretRecogniser(),
    )
    return tuple(each for each in every if not each.entities.isdisjoint(entities))
