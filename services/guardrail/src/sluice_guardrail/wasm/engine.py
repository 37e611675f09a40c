"""The engine that all modules of a process share, and what it lets none of them do."""

import hashlib
import platform
from importlib.metadata import version

from wasmtime import Config, Engine

#: What WebAssembly may use. Off is what could make two runs of one call differ (threads, relaxed SIMD, the bits of a
#: NaN) or what a policy has no use for.
_SETTINGS: dict[str, bool | int] = {
    "epoch_interruption": True,
    "cranelift_nan_canonicalization": True,
    "max_wasm_stack": 512 << 10,
    "shared_memory": False,
    "wasm_threads": False,
    "wasm_relaxed_simd": False,
    "wasm_memory64": False,
    "wasm_multi_memory": False,
    "wasm_gc": False,
    "wasm_function_references": False,
    "wasm_exceptions": False,
    "wasm_stack_switching": False,
    "wasm_custom_page_sizes": False,
    "wasm_wide_arithmetic": False,
    "wasm_component_model": False,
}


def new_engine() -> Engine:
    """An engine of ours."""
    config = Config()
    for name, value in _SETTINGS.items():
        setattr(config, name, value)
    return Engine(config)


def fingerprint() -> str:
    """Changes with all that decides how a module is compiled: wasmtime, the settings, the processor."""
    parts = (
        version("wasmtime"),
        platform.machine(),
        *(f"{name}={_SETTINGS[name]}" for name in sorted(_SETTINGS)),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
