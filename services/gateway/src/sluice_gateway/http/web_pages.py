"""What web pages are kept from where the gateway is open: a visitor's browser reaches loopback, and needs no key there.

A page can have its browser send a POST without a body unasked, and make its own name resolve to loopback (DNS
rebinding), so that the browser takes the gateway for the page's own server. The first names the page in `Origin`, the
second its name in `Host`; programs send no `Origin`, and no page can choose either header.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from sluice_gateway.http.errors import error_response
from sluice_servicekit.addresses import parse_address
from sluice_servicekit.errors import PermissionDenied

#: A host, an IPv6 one in brackets, and its port.
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<host>[^\[\]:/@\s]+))(?::\d{1,5})?")

#: As much of a name as an error repeats.
_SHOWN = 100


class WebPages:
    """Refuses what only a web page would send, while the gateway is open.

    Args:
        is_open: Whether callers need no key.
        listening: Where the gateway was told to listen; the host in it is its own.
        origins: Whose pages may call; `*` for all.
    """

    def __init__(
        self, app: ASGIApp, is_open: Callable[[], bool], listening: str, origins: Sequence[str]
    ) -> None:
        self._app = app
        self._is_open = is_open
        self._own = own_host(listening)
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_open():
            headers = scope["headers"]
            why = refusal(_all(headers, b"host"), _all(headers, b"origin"), self._own, self._origins)
            if why:
                await error_response(PermissionDenied(why))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def refusal(hosts: Sequence[str], origins: Sequence[str], own: str, allowed: Sequence[str]) -> str:
    """Why an open gateway refuses a request; empty where it does not.

    Args:
        hosts: The `Host` headers. None is what only a program of HTTP/1.0 sends.
        origins: The `Origin` headers.
        own: The host that the gateway listens on.
        allowed: Origins whose pages may call.
    """
    for host in hosts:
        if not _is_ours(host, own):
            return (
                f"without API keys the gateway answers to localhost and IP addresses only, not to {host[:_SHOWN]!r}: "
                "use one of those, or name a keys file in SLUICE_API_KEYS_FILE"
            )
    for origin in origins:
        if "*" not in allowed and origin not in allowed and not _is_same(origin, hosts):
            named = origin[:_SHOWN]
            return f"without API keys no page of {named!r} may call: name its origin in SLUICE_CORS_ORIGINS"
    return ""


def own_host(listening: str) -> str:
    """The host of `host:port`; empty for a socket that was handed over."""
    return "" if listening.startswith("fd:") else parse_address(listening)[0].lower()


def _is_ours(authority: str, own: str) -> bool:
    """An address is no name: nobody can have it resolve to something else."""
    match = _AUTHORITY.fullmatch(authority.lower())
    if match is None:
        return False
    host = match["six"] or match["host"].removesuffix(".")
    return host == "localhost" or (bool(own) and host == own) or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_same(origin: str, hosts: Sequence[str]) -> bool:
    scheme, _, authority = origin.lower().partition("://")
    return scheme in ("http", "https") and authority in [host.lower() for host in hosts]


def _all(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for each, value in headers if each == name]
