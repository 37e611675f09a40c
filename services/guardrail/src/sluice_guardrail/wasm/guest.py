"""One call as the host sees it: the module's memory, and all that the module may ask for or write down."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from wasmtime import Caller, Memory, Store

from sluice_guardrail.wasm.failures import Failure, PolicyFailed

#: Lines that one call may log, and bytes of each; the rest is left out.
_LOG_LINES = 32
LOG_BYTES = 256


class Ended(Exception):
    """Raised by a host function to end the call; what happened is in `Call`."""


class OutOfBounds(Ended):
    """A place that is not in the module's memory."""


@dataclass
class Call:
    """What belongs to one call, and to no other."""

    scores: Mapping[str, float] = field(default_factory=dict)
    arguments: tuple[bytes, ...] = ()
    stdin: memoryview = field(default_factory=lambda: memoryview(b""))
    max_output: int = 0
    stdout: bytearray = field(default_factory=bytearray)
    exit_code: int | None = None
    broken: PolicyFailed | None = None
    """Why the host ended it."""
    logged: list[tuple[int, str]] = field(default_factory=list)
    """Level and text of each line."""
    unlogged: int = 0
    """Lines that were left out."""

    @cached_property
    def random(self) -> Random:
        """The same bytes in each call."""
        return Random(0)  # noqa: S311 - on purpose: a call can be replayed

    def log(self, level: int, line: bytes) -> None:
        """Takes a line down."""
        if len(self.logged) < _LOG_LINES:
            self.logged.append((level, line[:LOG_BYTES].decode(errors="replace").rstrip()))
        else:
            self.unlogged += 1

    def end(self, failure: Failure, message: str) -> Ended:
        """What to raise to end the call."""
        self.broken = PolicyFailed(failure, message)
        return Ended(message)


class Calls(threading.local):
    """The call that runs in this thread.

    A host function is shared by all calls and must find its own. It cannot hand anything over by raising: wasmtime's
    binding keeps what was raised in one place for all threads.
    """

    current: Call = Call()


class GuestMemory:
    """A module's memory. Every place is checked before it is read or written."""

    def __init__(self, memory: Memory, store: Store | Caller) -> None:
        self._memory = memory
        self._store = store

    @classmethod
    def of(cls, caller: Caller) -> "GuestMemory":
        """Of the module that calls a host function."""
        memory = caller.get("memory")
        if not isinstance(memory, Memory):
            raise OutOfBounds("no memory")
        return cls(memory, caller)

    def read(self, place: int, size: int) -> bytes:
        """What stands at a place.

        Raises:
            OutOfBounds: it does not lie in the memory.
        """
        place, size = self._checked(place, size)
        return bytes(self._memory.read(self._store, place, place + size)) if size else b""

    def write(self, place: int, content: bytes) -> None:
        """Writes at a place.

        Raises:
            OutOfBounds: it does not lie in the memory.
        """
        place, size = self._checked(place, len(content))
        if size:
            self._memory.write(self._store, content, place)

    def _checked(self, place: int, size: int) -> tuple[int, int]:
        """Both as WebAssembly means them: unsigned."""
        place, size = place & 0xFFFFFFFF, size & 0xFFFFFFFF
        if place + size > self._memory.data_len(self._store):
            raise OutOfBounds(f"{size} bytes at {place} are not in the memory")
        return place, size
