"""`host:port` in one place."""

import socket


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


def bound_socket(address: str) -> socket.socket:
    """A TCP socket bound to `host:port`, yet to listen. A port that a closed connection still holds is taken over.

    Raises:
        ValueError: it is not an address.
        OSError: it is taken, or not an address of this machine.
    """
    host, port = parse_address(address)
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
