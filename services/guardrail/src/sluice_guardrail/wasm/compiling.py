"""Compiles modules, each in a process of its own: `python -m sluice_guardrail.wasm.compiling`, binary in, code out.

A compiler cannot be interrupted, and modules can be written that take it minutes and gigabytes.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable

from wasmtime import Module, WasmtimeError

from sluice_guardrail.wasm.engine import new_engine
from sluice_guardrail.wasm.failures import ModuleRefused

_SECONDS = 120
_MEMORY_MIB = 2048
#: Exit code of a module that is none; anything else but 0 is the end that a limit has made.
_INVALID = 3

#: A module's binary to its code.
Compile = Callable[[bytes], bytes]


def compile_here(content: bytes) -> bytes:
    """The code of a module.

    Raises:
        ModuleRefused: it is no module that the engine takes.
    """
    try:
        return bytes(Module(new_engine(), content).serialize())
    except WasmtimeError as error:
        raise ModuleRefused(f"it is no module that can run here: {first_line(error)}") from error


def compile_apart(content: bytes, seconds: float = _SECONDS, memory_mib: int = _MEMORY_MIB) -> bytes:
    """The same, within two minutes and two GiB, and after everything else that wants the processor.

    Raises:
        ModuleRefused: also where that is not enough.
    """
    command = [sys.executable, "-m", "sluice_guardrail.wasm.compiling", str(memory_mib)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, input=content, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModuleRefused(f"it cannot be compiled within {seconds:g} s") from None
    if done.returncode == _INVALID:
        raise ModuleRefused(done.stderr.decode(errors="replace"))
    if done.returncode:
        raise ModuleRefused(f"it cannot be compiled within {memory_mib} MiB of memory")
    return done.stdout


def first_line(error: Exception) -> str:
    """What an error says, without where in the code it stood."""
    return str(error).strip().partition("\n")[0][:200]


def main() -> None:
    """The other process."""
    memory = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (2 * _SECONDS, 2 * _SECONDS))  # where nobody is left to stop it
    os.nice(10)
    try:
        sys.stdout.buffer.write(compile_here(sys.stdin.buffer.read()))
    except ModuleRefused as refused:
        sys.stderr.write(refused.message)
        sys.exit(_INVALID)


if __name__ == "__main__":
    main()
