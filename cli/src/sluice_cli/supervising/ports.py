"""Ports on this machine."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from sluice_cli.errors import CommandError, usage
from sluice_servicekit.addresses import parse_address


def free_address() -> str:
    """An address on loopback that nobody listens on now."""
    with _bound() as probe:
        return _name(probe)


@contextmanager
def reserved(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """An address on loopback for each name, kept for the length of the block.

    A socket that is bound and does not listen holds each port: nobody is given it, as the near end of a connection
    for one, while a process that sets SO_REUSEADDR can listen on it, and again after it was restarted.
    """
    with ExitStack() as stack:
        yield {name: _name(stack.enter_context(_bound())) for name in names}


def _bound() -> socket.socket:
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def _name(bound: socket.socket) -> str:
    return f"127.0.0.1:{bound.getsockname()[1]}"


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
