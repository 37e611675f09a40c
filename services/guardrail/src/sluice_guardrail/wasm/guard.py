"""What the host offers to modules under the name `guard`; see `abi`."""

from functools import partial

from wasmtime import Caller, FuncType, Linker, ValType

from sluice_guardrail.wasm.failures import Failure
from sluice_guardrail.wasm.guest import LOG_BYTES, Calls, GuestMemory, OutOfBounds

MODULE = "guard"

#: Bytes of a detector's name.
_MOST_NAME = 256
_UNKNOWN = -1.0


def define(linker: Linker, calls: Calls) -> None:
    """Defines all of it."""
    i32 = ValType.i32()
    linker.define_func(MODULE, "log", FuncType([i32, i32, i32], []), partial(_log, calls), access_caller=True)
    linker.define_func(
        MODULE, "feature", FuncType([i32, i32], [ValType.f64()]), partial(_feature, calls), access_caller=True
    )


def _log(calls: Calls, caller: Caller, level: int, place: int, size: int) -> None:
    line = _read(calls, caller, place, min(size & 0xFFFFFFFF, LOG_BYTES))
    calls.current.log(level, line)


def _feature(calls: Calls, caller: Caller, place: int, size: int) -> float:
    if size & 0xFFFFFFFF > _MOST_NAME:
        return _UNKNOWN
    name = _read(calls, caller, place, size).decode(errors="replace")
    return calls.current.scores.get(name, _UNKNOWN)


def _read(calls: Calls, caller: Caller, place: int, size: int) -> bytes:
    try:
        return GuestMemory.of(caller).read(place, size)
    except OutOfBounds as error:
        raise calls.current.end(Failure.TRAP, str(error)) from None
