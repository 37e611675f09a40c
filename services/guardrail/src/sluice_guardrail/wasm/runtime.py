"""Runs modules: each call in a store of its own, within a time and a memory."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from wasmtime import Func, InstancePre, Linker, Memory, Module, Store, Trap, TrapCode, WasmtimeError

from sluice_api.objects.guardrail_policy import WasmKind
from sluice_guardrail.wasm import guard, wasi
from sluice_guardrail.wasm.abi import MAX_OUTPUT_BYTES
from sluice_guardrail.wasm.compiled_cache import CompiledCache
from sluice_guardrail.wasm.compiling import Compile, compile_here, first_line
from sluice_guardrail.wasm.engine import fingerprint, new_engine
from sluice_guardrail.wasm.failures import Failure, ModuleRefused, PolicyFailed
from sluice_guardrail.wasm.guest import Call, Calls, GuestMemory, OutOfBounds
from sluice_guardrail.wasm.ticking import PERIOD, Ticker

#: Elements of all tables of one call, 8 bytes each; what programs have are a few thousand.
_TABLE_ELEMENTS = 1 << 16
_UNSIGNED = 0xFFFFFFFF
_MAGIC = b"\0asm"

T = TypeVar("T")

#: What an instance exports, by name.
Exports = Mapping[str, object]


class Verb(StrEnum):
    """What is asked of a module."""

    EVALUATE = "evaluate"
    VALIDATE = "validate"


_FUNCTIONS = {Verb.EVALUATE: "guard_evaluate", Verb.VALIDATE: "guard_validate_settings"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may take."""

    seconds: float
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call came to."""

    content: bytes
    logged: tuple[tuple[int, str], ...] = ()
    """Level and text of the first lines that it logged."""
    unlogged: int = 0
    """Lines more than are kept."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Compiled:
    """A module, ready to be run any number of times, side by side."""

    digest: str
    module: Module
    ready: InstancePre = field(repr=False)


class Runtime:
    """The engine and its clock. Thread-safe; wasmtime releases the interpreter's lock while a module runs."""

    def __init__(self, cache: CompiledCache | None = None, compile_module: Compile = compile_here) -> None:
        self._engine = new_engine()
        self._ticker = Ticker(self._engine.increment_epoch)
        self._calls = Calls()
        self._cache = cache
        self._compile = compile_module
        self._linker = Linker(self._engine)
        guard.define(self._linker, self._calls)
        wasi.define(self._linker, self._calls)

    def close(self) -> None:
        """Stops the clock; nothing may run then."""
        self._ticker.close()

    def compile(self, content: bytes, digest: str, check: Callable[[Module], None]) -> Compiled:
        """A module from its binary, or from the cache.

        Args:
            digest: SHA-256 of the binary, hex.
            check: Looks at exports and imports, and raises where they do not serve.

        Raises:
            ModuleRefused: it is no valid module, or not one that can be linked.
        """
        module = self._module(content, digest)
        check(module)
        try:
            return Compiled(digest, module, self._linker.instantiate_pre(module))
        except WasmtimeError as error:
            raise ModuleRefused(f"it cannot be linked: {first_line(error)}") from error

    def abi_version(self, compiled: Compiled, limits: Limits) -> int:
        """What a core module says of itself."""
        return self._run(compiled, limits, Call(), lambda store, exports, call: _abi_version(store, exports))

    def ask(
        self,
        compiled: Compiled,
        kind: WasmKind,
        verb: Verb,
        document: bytes,
        limits: Limits,
        scores: Mapping[str, float] | None = None,
    ) -> Answer:
        """One call.

        Args:
            document: JSON, as `abi` says.
            scores: What `guard.feature` gives.

        Raises:
            PolicyFailed: it gave no answer in time, or none that can be read.
        """
        if kind is WasmKind.CORE:
            call = Call(scores or {})
            content = self._run(
                compiled,
                limits,
                call,
                lambda store, exports, _: _core(store, exports, _FUNCTIONS[verb], document),
            )
        else:
            arguments = (b"policy", verb.encode())
            call = Call(scores or {}, arguments, memoryview(document), MAX_OUTPUT_BYTES)
            content = self._run(compiled, limits, call, _command)
        return Answer(content, tuple(call.logged), call.unlogged)

    def _run(
        self,
        compiled: Compiled,
        limits: Limits,
        call: Call,
        body: Callable[[Store, Exports, Call], T],
    ) -> T:
        started = time.monotonic()
        self._calls.current = call
        try:
            with self._ticker.ticks_of(limits.seconds) as ticks, Store(self._engine) as store:
                store.set_limits(limits.memory_mib << 20, _TABLE_ELEMENTS, instances=1, tables=4, memories=1)
                store.set_epoch_deadline(ticks)
                result = body(store, compiled.ready.instantiate(store).exports(store), call)
        except PolicyFailed:
            raise
        except Exception as error:
            # Any: what a host function raises may come up in another thread's call, see `Calls`.
            raise _failed(call, error, time.monotonic() - started, limits) from error
        finally:
            self._calls.current = Call()
        taken = time.monotonic() - started
        if taken > limits.seconds + PERIOD:
            raise _late(taken, limits)
        return result

    def _module(self, content: bytes, digest: str) -> Module:
        name = f"{digest}-{fingerprint()}"
        if self._cache is not None and (kept := self._cache.get(name)) is not None:
            try:
                return Module.deserialize(self._engine, kept)
            except WasmtimeError:  # compiled for another processor
                pass
        if not content.startswith(_MAGIC):  # wasmtime would read WebAssembly text, too
            raise ModuleRefused("it is no module that can run here: no binary of WebAssembly")
        code = self._compile(content)
        if self._cache is not None:
            self._cache.put(name, code)
        return Module.deserialize(self._engine, code)


def _core(store: Store, exports: Exports, function: str, document: bytes) -> bytes:
    memory = _prepared(store, exports)
    place = _function(exports, "guard_alloc")(store, len(document)) & _UNSIGNED
    if not place:
        raise PolicyFailed(Failure.MEMORY, f"guard_alloc has no room for {len(document)} bytes")
    try:
        memory.write(place, document)
    except OutOfBounds as error:
        raise PolicyFailed(Failure.MEMORY, f"guard_alloc: {error}") from None
    packed = _function(exports, function)(store, place, len(document))
    answer, size = packed >> 32 & _UNSIGNED, packed & _UNSIGNED
    if size > MAX_OUTPUT_BYTES:
        raise PolicyFailed(Failure.OUTPUT, f"its answer has {size} bytes, more than {MAX_OUTPUT_BYTES}")
    try:
        return memory.read(answer, size)
    except OutOfBounds as error:
        raise PolicyFailed(Failure.OUTPUT, f"its answer: {error}") from None


def _command(store: Store, exports: Exports, call: Call) -> bytes:
    try:
        _function(exports, "_start")(store)
    except Exception:
        if call.exit_code != 0 or call.broken is not None:
            raise
    return bytes(call.stdout)


def _abi_version(store: Store, exports: Exports) -> int:
    _prepared(store, exports)
    version: int = _function(exports, "guard_abi_version")(store)
    return version


def _prepared(store: Store, exports: Exports) -> GuestMemory:
    if "_initialize" in exports:
        _function(exports, "_initialize")(store)
    memory = exports["memory"]
    if not isinstance(memory, Memory):
        raise TypeError("checked when it was loaded")
    return GuestMemory(memory, store)


def _function(exports: Exports, name: str) -> Func:
    function = exports[name]
    if not isinstance(function, Func):
        raise TypeError("checked when it was loaded")
    return function


def _failed(call: Call, error: Exception, taken: float, limits: Limits) -> PolicyFailed:
    """What a call that did not come back has failed by; from the call's own record before what was raised."""
    code = error.trap_code if isinstance(error, Trap) else None
    if call.broken is not None:
        return call.broken
    if call.exit_code is not None:
        return PolicyFailed(Failure.EXIT, f"it ended with exit code {call.exit_code}")
    if code is TrapCode.INTERRUPT or taken > limits.seconds:
        return _late(taken, limits)
    if code is not None:
        return PolicyFailed(Failure.TRAP, f"trap: {code.name.lower().replace('_', ' ')}")
    if isinstance(error, WasmtimeError):
        return PolicyFailed(Failure.TRAP, first_line(error))
    return PolicyFailed(Failure.TRAP, "trap")


def _late(taken: float, limits: Limits) -> PolicyFailed:
    return PolicyFailed(
        Failure.LATE, f"no answer after {taken * 1000:.0f} ms; its timeout is {limits.seconds * 1000:.0f} ms"
    )
