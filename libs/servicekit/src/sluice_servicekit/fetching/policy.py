"""Where a fetch may go: by a URL's own words, and by the address that its name resolves to."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from yarl import URL

from sluice_servicekit.fetching import addresses
from sluice_servicekit.fetching.addresses import Address
from sluice_servicekit.fetching.failures import FetchFailed, NotAllowed

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_OFF, _PUBLIC = "off", "public"
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")

#: What parsers of URLs disagree about.
_DUBIOUS = re.compile(r"[\s\\\x00-\x1f\x7f]")

#: All that a URL is written with where nothing in it is left to encode (RFC 3986, 2).
_WRITTEN = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")

#: A host whose last part is one is an address to some, in whatever base.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


@dataclass(frozen=True)
class Policy:
    """What a URL may name."""

    public: bool = True
    """Any address of the public internet."""
    networks: tuple[Network, ...] = ()
    """Addresses that are allowed wherever they lie."""
    names: tuple[str, ...] = ()
    """Hosts that are allowed whatever they resolve to; `*.example.com` for all below."""
    ports: frozenset[int] = frozenset({80, 443})

    @classmethod
    def parse(cls, allowed: str, ports: str) -> Self:
        """A policy from its settings.

        Args:
            allowed: `off`, or a list parted by commas: `public`, host names, addresses, networks (CIDR).
            ports: Numbers parted by commas.

        Raises:
            ValueError: an entry has no meaning.
        """
        entries = [entry.strip().lower() for entry in allowed.split(",") if entry.strip()]
        named = [] if entries == [_OFF] else entries
        networks = [network for network in map(_network, named) if network is not None]
        names = [entry for entry in named if _network(entry) is None]
        for name in names:
            if name == _OFF or not _NAME.fullmatch(name) or name.replace(".", "").isdigit():
                raise ValueError(f"{name!r} is not `public`, a host's name, an address or a network")
        return cls(
            public=_PUBLIC in names,
            networks=tuple(networks),
            names=tuple(name for name in names if name != _PUBLIC),
            ports=_ports(ports),
        )

    @property
    def is_off(self) -> bool:
        """Nothing may be fetched."""
        return not (self.public or self.networks or self.names)

    def target(self, url: str) -> URL:
        """A URL that may be asked for, as far as its own words say; what it resolves to is another question.

        Raises:
            NotAllowed: it may not.
            FetchFailed: it is no URL.
        """
        if self.is_off:
            raise NotAllowed("this service fetches nothing")
        if _DUBIOUS.search(url):
            raise NotAllowed("a URL holds no blanks, backslashes or control characters; encode them")
        try:
            parsed = URL(url)
            host, port = parsed.raw_host, parsed.port
        except ValueError as error:
            raise FetchFailed(f"not a URL: {error}") from None
        if parsed.scheme not in ("http", "https") or not host:
            raise NotAllowed("a URL starts with http:// or https:// and names a host")
        if parsed.raw_user is not None or parsed.raw_password is not None:
            raise NotAllowed("a URL holds no user and no password")
        if port not in self.ports:
            raise NotAllowed(f"port {port} is not among those allowed")
        try:
            literal = addresses.parse(host)
        except ValueError:
            if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
                raise NotAllowed(f"{host} is a number, but no address as it is written") from None
        else:
            self.check(host, literal)
        return _as_written(url, parsed).with_fragment(None)

    def redirected(self, url: URL, location: str) -> URL:
        """Where a server at a URL sends on to.

        Raises:
            NotAllowed: nobody goes there, or the connection would no longer be encrypted.
            FetchFailed: it is no URL.
        """
        try:
            joined = url.join(URL(location, encoded=_WRITTEN.fullmatch(location) is not None))
        except ValueError as error:
            raise FetchFailed(f"the server redirects to what is no URL: {error}") from None
        if url.scheme == "https" and joined.scheme == "http":
            raise NotAllowed("the server redirects from https to http")
        return self.target(str(joined))

    def check(self, host: str, address: Address) -> None:
        """Lets a connection to an address pass.

        Args:
            host: The URL's host, which led there.
            address: Where the connection goes.

        Raises:
            NotAllowed: it may not go there.
        """
        allowed = (
            (self.public and addresses.is_public(address))
            or any(address in network for network in self.networks)
            or self._names(host)
        )
        if not allowed:
            # The address itself is left out: whoever asks is not to learn what inside a name resolves to.
            raise NotAllowed(f"{host} leads to an address that is not allowed")

    def _names(self, host: str) -> bool:
        host = host.lower().rstrip(".")
        return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in self.names)


def _as_written(url: str, parsed: URL) -> URL:
    """Path and query as they stand: what was signed is not to be spelled in another way."""
    if not _WRITTEN.fullmatch(url):
        return parsed
    raw = URL(url, encoded=True)
    return URL.build(
        scheme=parsed.scheme,
        authority=parsed.raw_authority,
        path=raw.raw_path or "/",
        query_string=raw.raw_query_string,
        encoded=True,
    )


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None


def _ports(ports: str) -> frozenset[int]:
    numbers = frozenset(int(port) for port in ports.split(",") if port.strip())
    if not all(0 < number < 1 << 16 for number in numbers):
        raise ValueError(f"{ports!r} are not all ports")
    return numbers
