"""WASI preview 1, empty: no variables, files or sockets, a clock that stands, random bytes that are always the same.

What a language's runtime asks for when it starts is answered, the same way in each call, so that a call can be
replayed. https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
"""

import struct
from collections.abc import Callable
from functools import partial

from wasmtime import Caller, FuncType, Linker, ValType

from sluice_guardrail.wasm.failures import Failure
from sluice_guardrail.wasm.guest import LOG_BYTES, Call, Calls, Ended, GuestMemory, OutOfBounds

MODULE = "wasi_snapshot_preview1"

_OK, _BADF, _FAULT, _INVAL, _SPIPE, _NOTCAPABLE = 0, 8, 21, 28, 70, 76
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_CHARACTER_DEVICE = 2
#: What every clock says, ns. Not 0: Go's runtime takes that for a broken clock.
_NOW = 1_000_000_000
#: Random bytes for one request, and parts of one write; no runtime asks for more.
_MOST_RANDOM, _MOST_PARTS = 1 << 20, 1024

#: Every function's parameters, `i` of 32 and `I` of 64 bits. All give an error number, but `proc_exit`.
SIGNATURES = {
    "args_get": "ii",
    "args_sizes_get": "ii",
    "environ_get": "ii",
    "environ_sizes_get": "ii",
    "clock_res_get": "ii",
    "clock_time_get": "iIi",
    "fd_advise": "iIIi",
    "fd_allocate": "iII",
    "fd_close": "i",
    "fd_datasync": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_fdstat_set_rights": "iII",
    "fd_filestat_get": "ii",
    "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi",
    "fd_pread": "iiiIi",
    "fd_prestat_get": "ii",
    "fd_prestat_dir_name": "iii",
    "fd_pwrite": "iiiIi",
    "fd_read": "iiii",
    "fd_readdir": "iiiIi",
    "fd_renumber": "ii",
    "fd_seek": "iIii",
    "fd_sync": "i",
    "fd_tell": "ii",
    "fd_write": "iiii",
    "path_create_directory": "iii",
    "path_filestat_get": "iiiii",
    "path_filestat_set_times": "iiiiIIi",
    "path_link": "iiiiiii",
    "path_open": "iiiiiIIii",
    "path_readlink": "iiiiii",
    "path_remove_directory": "iii",
    "path_rename": "iiiiii",
    "path_symlink": "iiiii",
    "path_unlink_file": "iii",
    "poll_oneoff": "iiii",
    "proc_exit": "i",
    "proc_raise": "i",
    "random_get": "ii",
    "sched_yield": "",
    "sock_accept": "iii",
    "sock_recv": "iiiiii",
    "sock_send": "iiiii",
    "sock_shutdown": "ii",
}

Handler = Callable[..., int | None]


def define(linker: Linker, calls: Calls) -> None:
    """Defines all of it; what is not answered here gives `notcapable`."""
    for name, parameters in SIGNATURES.items():
        results = [] if name == "proc_exit" else [ValType.i32()]
        kinds = [ValType.i32() if kind == "i" else ValType.i64() for kind in parameters]
        function = partial(_answer, calls, _HANDLERS.get(name, _not_capable))
        linker.define_func(MODULE, name, FuncType(kinds, results), function, access_caller=True)


def _answer(calls: Calls, handler: Handler, caller: Caller, *arguments: int) -> int | None:
    try:
        return handler(calls.current, GuestMemory.of(caller), *arguments)
    except OutOfBounds:
        return _FAULT


def _not_capable(call: Call, memory: GuestMemory, *arguments: int) -> int:
    return _NOTCAPABLE


def _done(call: Call, memory: GuestMemory, *arguments: int) -> int:
    return _OK


def _bad_descriptor(call: Call, memory: GuestMemory, *arguments: int) -> int:
    return _BADF


def _args_sizes_get(call: Call, memory: GuestMemory, count: int, size: int) -> int:
    memory.write(count, struct.pack("<I", len(call.arguments)))
    memory.write(size, struct.pack("<I", sum(len(each) + 1 for each in call.arguments)))
    return _OK


def _args_get(call: Call, memory: GuestMemory, places: int, buffer: int) -> int:
    for index, each in enumerate(call.arguments):
        memory.write(places + 4 * index, struct.pack("<I", buffer & 0xFFFFFFFF))
        memory.write(buffer, each + b"\0")
        buffer += len(each) + 1
    return _OK


def _environ_sizes_get(call: Call, memory: GuestMemory, count: int, size: int) -> int:
    memory.write(count, bytes(4))
    memory.write(size, bytes(4))
    return _OK


def _clock_res_get(call: Call, memory: GuestMemory, clock: int, place: int) -> int:
    memory.write(place, struct.pack("<Q", 1))
    return _OK


def _clock_time_get(call: Call, memory: GuestMemory, clock: int, precision: int, place: int) -> int:
    memory.write(place, struct.pack("<Q", _NOW))
    return _OK


def _random_get(call: Call, memory: GuestMemory, place: int, size: int) -> int:
    if size & 0xFFFFFFFF > _MOST_RANDOM:
        return _INVAL
    memory.write(place, call.random.randbytes(size))
    return _OK


def _fd_fdstat_get(call: Call, memory: GuestMemory, descriptor: int, place: int) -> int:
    if descriptor not in (_STDIN, _STDOUT, _STDERR):
        return _BADF
    memory.write(place, struct.pack("<BxHxxxxQQ", _CHARACTER_DEVICE, 0, (1 << 64) - 1, 0))
    return _OK


def _fd_filestat_get(call: Call, memory: GuestMemory, descriptor: int, place: int) -> int:
    if descriptor not in (_STDIN, _STDOUT, _STDERR):
        return _BADF
    memory.write(place, struct.pack("<QQBxxxxxxxQQQQQ", 0, 0, _CHARACTER_DEVICE, 1, 0, 0, 0, 0))
    return _OK


def _fd_seek(call: Call, memory: GuestMemory, descriptor: int, *arguments: int) -> int:
    return _SPIPE if descriptor in (_STDIN, _STDOUT, _STDERR) else _BADF


def _fd_read(call: Call, memory: GuestMemory, descriptor: int, parts: int, count: int, done: int) -> int:
    if descriptor != _STDIN:
        return _BADF
    if count & 0xFFFFFFFF > _MOST_PARTS:
        return _INVAL
    total = 0
    for place, size in _parts(memory, parts, count):
        piece = bytes(call.stdin[:size])
        memory.write(place, piece)
        call.stdin = call.stdin[len(piece) :]
        total += len(piece)
    memory.write(done, struct.pack("<I", total))
    return _OK


def _fd_write(call: Call, memory: GuestMemory, descriptor: int, parts: int, count: int, done: int) -> int:
    if descriptor not in (_STDOUT, _STDERR):
        return _BADF
    if count & 0xFFFFFFFF > _MOST_PARTS:
        return _INVAL
    total = 0
    for place, size in _parts(memory, parts, count):
        total += size
        if descriptor == _STDERR or not call.max_output:
            call.log(1, memory.read(place, min(size, LOG_BYTES)))
        elif len(call.stdout) + size > call.max_output:
            raise call.end(Failure.OUTPUT, "it wrote more than an answer may hold")
        else:
            call.stdout += memory.read(place, size)
    memory.write(done, struct.pack("<I", total & 0xFFFFFFFF))
    return _OK


def _parts(memory: GuestMemory, parts: int, count: int) -> list[tuple[int, int]]:
    return list(struct.iter_unpack("<II", memory.read(parts, 8 * count)))


def _poll_oneoff(call: Call, memory: GuestMemory, waits: int, events: int, count: int, done: int) -> int:
    """Everything that is waited for is there at once, since no time passes."""
    if not 0 < count <= _MOST_PARTS:
        return _INVAL
    for index in range(count):
        wait = memory.read(waits + 48 * index, 48)
        memory.write(events + 32 * index, wait[:8] + struct.pack("<HBxxxxxQQ", 0, wait[8], 0, 0))
    memory.write(done, struct.pack("<I", count))
    return _OK


def _proc_exit(call: Call, memory: GuestMemory, code: int) -> None:
    call.exit_code = code & 0xFFFFFFFF
    raise Ended("exit")


_HANDLERS: dict[str, Handler] = {
    "args_get": _args_get,
    "args_sizes_get": _args_sizes_get,
    "environ_get": _done,
    "environ_sizes_get": _environ_sizes_get,
    "clock_res_get": _clock_res_get,
    "clock_time_get": _clock_time_get,
    "fd_close": _done,
    "fd_fdstat_get": _fd_fdstat_get,
    "fd_fdstat_set_flags": _done,
    "fd_filestat_get": _fd_filestat_get,
    "fd_prestat_get": _bad_descriptor,
    "fd_prestat_dir_name": _bad_descriptor,
    "fd_read": _fd_read,
    "fd_seek": _fd_seek,
    "fd_write": _fd_write,
    "poll_oneoff": _poll_oneoff,
    "proc_exit": _proc_exit,
    "random_get": _random_get,
    "sched_yield": _done,
}
