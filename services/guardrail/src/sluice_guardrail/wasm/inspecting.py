"""Whether a module has what it needs to be asked, and needs nothing that it is not given. Pure."""

from collections.abc import Iterable, Mapping

from wasmtime import FuncType, MemoryType, Module

from sluice_api.objects.guardrail_policy import WasmKind
from sluice_guardrail.wasm import guard, wasi
from sluice_guardrail.wasm.failures import ModuleRefused

Signature = tuple[tuple[str, ...], tuple[str, ...]]

_EXPORTS: Mapping[WasmKind, Mapping[str, Signature]] = {
    WasmKind.CORE: {
        "guard_abi_version": ((), ("i32",)),
        "guard_alloc": (("i32",), ("i32",)),
        "guard_validate_settings": (("i32", "i32"), ("i64",)),
        "guard_evaluate": (("i32", "i32"), ("i64",)),
    },
    WasmKind.WASI: {"_start": ((), ())},
}
_KINDS = {"i": "i32", "I": "i64"}
_IMPORTS: Mapping[tuple[str, str], Signature] = {
    (guard.MODULE, "log"): (("i32", "i32", "i32"), ()),
    (guard.MODULE, "feature"): (("i32", "i32"), ("f64",)),
    **{
        (wasi.MODULE, name): (
            tuple(_KINDS[kind] for kind in parameters),
            () if name == "proc_exit" else ("i32",),
        )
        for name, parameters in wasi.SIGNATURES.items()
    },
}


def inspect(module: Module, kind: WasmKind) -> None:
    """Looks at exports and imports.

    Raises:
        ModuleRefused: one is missing, unknown or of another type.
    """
    exports = {export.name: export.type for export in module.exports}
    if not isinstance(exports.get("memory"), MemoryType):
        raise ModuleRefused("it does not export its memory as `memory`")
    for name, wanted in _EXPORTS[kind].items():
        if name not in exports:
            raise ModuleRefused(f"it does not export `{name}`, which kind `{kind}` needs")
        _expect(f"its export `{name}`", exports[name], wanted)
    initialize = exports.get("_initialize")
    if initialize is not None:
        _expect("its export `_initialize`", initialize, ((), ()))
    for entry in module.imports:
        known = _IMPORTS.get((entry.module, entry.name or ""))
        if known is None:
            raise ModuleRefused(f"it imports `{entry.module}.{entry.name}`, which policies are not given")
        _expect(f"its import `{entry.module}.{entry.name}`", entry.type, known)


def _expect(what: str, found: object, wanted: Signature) -> None:
    if not isinstance(found, FuncType):
        raise ModuleRefused(f"{what} is not a function")
    has = (_names(found.params), _names(found.results))
    if has != wanted:
        raise ModuleRefused(f"{what} is {_written(has)}, not {_written(wanted)}")


def _names(types: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, types))


def _written(signature: Signature) -> str:
    parameters, results = signature
    return f"({', '.join(parameters)}) -> ({', '.join(results)})"
