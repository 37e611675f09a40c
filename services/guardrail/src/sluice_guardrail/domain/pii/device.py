"""Numbers of devices: mobile equipment and network cards."""

import re
from collections.abc import Iterator
from typing import ClassVar

from stdnum import imei, mac

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.pii.checked_number import CheckedNumber, Scores, bounded
from sluice_guardrail.domain.pii.context import words
from sluice_guardrail.domain.pii.recogniser import Candidate, Scan

IMEI = CheckedNumber(
    PiiEntity.IMEI,
    bounded(r"[0-9]{15}|[0-9]{2}[ -][0-9]{6}[ -][0-9]{6}[ -][0-9]"),
    imei.is_valid,
    words("imei handset device_id equipment_identity seriennummer_des_handys"),
    Scores(bare=0.2, spaced=0.5, named=0.9),
)

_MAC = re.compile(
    r"(?<![0-9A-Za-z:.-])[0-9a-f]{2}(?P<sign>[:-])[0-9a-f]{2}(?:(?P=sign)[0-9a-f]{2}){4}(?![0-9A-Za-z:-])",
    re.ASCII | re.IGNORECASE,
)
_NAMED = words(
    "mac mac_address ethernet wifi wi-fi wlan bssid hardware_address network_card bluetooth", before=40
)
_KNOWN_SCORE, _SCORE, _NAMED_SCORE = 0.55, 0.2, 0.85


class MacRecogniser:
    """Addresses that a manufacturer has burnt in; those that software makes up are nobody's."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.MAC_ADDRESS,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each address."""
        if scan.text.count(":") < 5 and scan.text.count("-") < 5:
            return
        for match in _MAC.finditer(scan.text):
            span, value = Span(*match.span()), match[0].lower().replace("-", ":")
            if not mac.is_unicast(value) or mac.is_locally_administered(value):
                continue
            known = _KNOWN_SCORE if mac.is_valid(value, validate_manufacturer=True) else _SCORE
            score = _NAMED_SCORE if _NAMED.near(scan, span) else known
            yield Candidate(PiiEntity.MAC_ADDRESS, span, score, value)
