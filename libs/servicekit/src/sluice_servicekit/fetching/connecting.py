"""Connections of one request: no socket is opened to an address that was not checked, whatever a resolver says."""

import socket

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from sluice_servicekit.fetching import addresses
from sluice_servicekit.fetching.policy import Policy


def connector(policy: Policy, host: str, resolver: AbstractResolver) -> TCPConnector:
    """Connects to one host, once.

    What was resolved is what is connected to, so no second look-up can lead elsewhere; and each socket is checked
    as it is made, which also covers addresses that stand in the URL and need no resolver.
    """

    def checked(found: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = found
        policy.check(host, addresses.parse(str(address[0])))
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        resolver=_Checked(policy, resolver),
        socket_factory=checked,
        use_dns_cache=False,
        force_close=True,
    )


class _Checked(AbstractResolver):
    """Refuses a name as a whole where one of its addresses is not allowed: which one is used is left to chance."""

    def __init__(self, policy: Policy, resolver: AbstractResolver) -> None:
        self._policy = policy
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            self._policy.check(host, addresses.parse(each["host"]))
        return found

    async def close(self) -> None:
        """The resolver belongs to whoever gave it."""
