"""Ports on this machine."""

import socket

from sluice_cli.errors import CommandError, usage
from sluice_servicekit.addresses import parse_address


def free_address() -> str:
    """An address on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def is_taken(address: str) -> bool:
    """True where a socket of ours could not listen on the address now."""
    try:
        listening(address, "").close()
    except CommandError:
        return True
    return False


def listening(address: str, option: str) -> socket.socket:
    """A socket bound to the address.

    Raises:
        CommandError: it is taken, or not an address of this machine; names the option to change.
    """
    try:
        host, port = parse_address(address)
    except ValueError as error:
        raise usage(f"{option}: {error}") from error
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(2048)
    except (OSError, OverflowError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise usage(
            f"cannot listen on {address}: {reason}",
            f"choose another address, for example {option} 127.0.0.1:8090",
        ) from error
    return bound
