"""Ports on this machine."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from sluice_cli.errors import CommandError, usage
from sluice_servicekit.addresses import bound_socket

_ANY = "127.0.0.1:0"


def free_address() -> str:
    """An address on loopback that nobody listens on now."""
    with bound_socket(_ANY) as probe:
        return _name(probe)


@contextmanager
def reserved(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """An address on loopback for each name, kept for the length of the block.

    A socket that is bound and does not listen holds each port: nobody is given it, as the near end of a connection
    for one, while a process that sets SO_REUSEADDR can listen on it, and again after it was restarted.
    """
    with ExitStack() as stack:
        yield {name: _name(stack.enter_context(bound_socket(_ANY))) for name in names}


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
        bound = bound_socket(address)
        bound.listen(2048)
    except ValueError as error:
        raise usage(f"{option}: {error}") from error
    except OSError as error:
        raise usage(
            f"cannot listen on {address}: {error.strerror or error}",
            f"choose another address, for example {option} 127.0.0.1:8090",
        ) from error
    return bound
