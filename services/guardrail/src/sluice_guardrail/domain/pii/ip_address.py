"""Public IP addresses."""

import ipaddress
import re
from collections.abc import Iterator
from typing import ClassVar

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.pii.context import SOMETHING_ELSE, words
from sluice_guardrail.domain.pii.recogniser import START, Candidate, Scan

#: An address with a prefix length is a network; one that goes on with a dot is a version or a name.
_V4 = re.compile(rf"{START}[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}(?![0-9A-Za-z_]|[./-][0-9A-Za-z])", re.ASCII)
#: Global unicast, 2000::/3: what is in use of IPv6, and no scope operator of a programming language.
_V6 = re.compile(
    r"(?<![0-9A-Za-z_:.])[23][0-9a-f]{3}(?::[0-9a-f]{0,4}){2,7}(?![0-9A-Za-z_:/])", re.ASCII | re.IGNORECASE
)
#: Public resolvers stand in every manual and are nobody's.
_RESOLVERS = frozenset("8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 208.67.222.222 208.67.220.220".split())
_NAMED = words(
    "ip ipv4 ipv6 address host client visitor remote from adresse adresse_ip direccion indirizzo", before=40
)
_VERSION = words(
    "v ver version release build firmware driver software update upgrade section chapter paragraph clause oid",
    before=32,
    after=0,
)
#: Each part below this: more often a section or a version than an address.
_SMALL = 20


class IpAddressRecogniser:
    """Private, loopback, documentation and other special ranges are nobody's."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.IP_ADDRESS,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each public address."""
        for start in scan.numbers:
            match = _V4.match(scan.text, start) or _V6.match(scan.text, start)
            written = match[0].rstrip(":") if match else ""
            address = _public(written)
            if address is not None:
                span = Span(start, start + len(written))
                yield Candidate(PiiEntity.IP_ADDRESS, span, _score(scan, span, address), str(address))


def _public(written: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return None
    is_public = address.is_global and not address.is_multicast
    return address if is_public and str(address) not in _RESOLVERS else None


def _score(scan: Scan, span: Span, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> float:
    if _VERSION.near(scan, span) or SOMETHING_ELSE.near(scan, span):
        return 0.2
    if _NAMED.near(scan, span):
        return 0.9
    if isinstance(address, ipaddress.IPv4Address) and max(address.packed) < _SMALL:
        return 0.3
    return 0.6
