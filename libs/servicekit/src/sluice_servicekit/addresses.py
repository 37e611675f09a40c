"""`host:port` in one place."""


def parse_address(address: str) -> tuple[str, int]:
    """Splits `host:port`; IPv6 hosts stand in brackets.

    Raises:
        ValueError: it is not of that form.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address!r} is not an address of the form host:port")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """True where only this machine can reach the host."""
    return host == "localhost" or host == "::1" or host.startswith("127.")
