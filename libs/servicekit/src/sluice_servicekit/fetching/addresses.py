"""Which addresses belong to the public internet."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: The last 32 bits are an IPv4 address that a translator sends on to (RFC 6052).
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")

#: What `is_global` lets pass, in some Python or in all: tunnels whose ends are embedded, and what is only local.
_NEVER = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's own services, as seen from inside a machine there
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("192.88.99.0/24"),
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("100::/32"),
    ipaddress.ip_network("2001::/23"),
    ipaddress.ip_network("2002::/16"),
    ipaddress.ip_network("3fff::/20"),
    ipaddress.ip_network("5f00::/16"),
    ipaddress.ip_network("fec0::/10"),
)


def parse(text: str) -> Address:
    """An address; one of IPv4 that is written as one of IPv6 is that of IPv4.

    Raises:
        ValueError: it is none.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


def is_public(address: Address) -> bool:
    """True for what anybody can reach: not private, shared, local, reserved nor multicast."""
    if isinstance(address, ipaddress.IPv6Address) and address in _TRANSLATED:
        return is_public(ipaddress.IPv4Address(address.packed[-4:]))
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _NEVER)
    )
