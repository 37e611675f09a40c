"""Small modules, written as WebAssembly text, and gates that ask them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wasmtime import wat2wasm

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.rules.rule_set import RuleSet, all_rules
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.wasm.compiled_cache import CompiledCache
from sluice_guardrail.wasm.folder import ModulesFolder
from sluice_guardrail.wasm.loading import Loader
from sluice_guardrail.wasm.runtime import Runtime

ALLOW = '{"action":"allow"}'
VALID = '{"valid":true}'

#: Where the answer and the word on the settings stand in the memory of `core`.
ANSWER, VALIDITY, ROOM = 16, 32_768, 65_536


def text(content: str | bytes) -> str:
    """As a string of WebAssembly text."""
    content = content.encode() if isinstance(content, str) else content
    return '"' + "".join(f"\\{byte:02x}" for byte in content) + '"'


def returns(place: int, size: int) -> str:
    """The i64 that names an answer."""
    packed = place << 32 | size
    return f"(i64.const {packed - (1 << 64) if packed >= 1 << 63 else packed})"


def core(
    evaluate: str | None = None,
    *,
    answer: str | bytes = ALLOW,
    validity: str = VALID,
    validate: str | None = None,
    alloc: str = f"(i32.const {ROOM})",
    version: str = "(i32.const 1)",
    imports: str = "",
    more: str = "",
    pages: int = 4,
    leave_out: str = "",
) -> bytes:
    """A module of kind `core`; without an `evaluate` it gives `answer` to whatever it is asked.

    Args:
        leave_out: A function that it does not export.
    """
    size = len(answer.encode() if isinstance(answer, str) else answer)
    functions = {
        "guard_abi_version": f"(func $version (result i32) {version})",
        "guard_alloc": f"(func $alloc (param i32) (result i32) {alloc})",
        "guard_validate_settings": "(func $validate (param $ptr i32) (param $len i32) (result i64) "
        f"{validate or returns(VALIDITY, len(validity.encode()))})",
        "guard_evaluate": "(func $evaluate (param $ptr i32) (param $len i32) (result i64) "
        f"{evaluate or returns(ANSWER, size)})",
    }
    names = dict(zip(functions, ("version", "alloc", "validate", "evaluate"), strict=True))
    exports = " ".join(f'(export "{name}" (func ${names[name]}))' for name in functions if name != leave_out)
    return bytes(
        wat2wasm(
            f"""(module {imports}
              (memory (export "memory") {pages})
              (data (i32.const {ANSWER}) {text(answer)})
              (data (i32.const {VALIDITY}) {text(validity)})
              {more} {" ".join(functions.values())} {exports})"""
        )
    )


WASI = "wasi_snapshot_preview1"


def command(start: str, *, answer: str | bytes = ALLOW, more: str = "", imports: str = "") -> bytes:
    """A module of kind `wasi`. Asked to validate (its second argument begins with `v`) it says that all is well; else
    it runs `start`, which may `(call $say (i32.const FD))` what the answer is."""
    size = len(answer.encode() if isinstance(answer, str) else answer)
    return bytes(
        wat2wasm(
            f"""(module
              (import "{WASI}" "args_get" (func $args (param i32 i32) (result i32)))
              (import "{WASI}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
              (import "{WASI}" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
              (import "{WASI}" "proc_exit" (func $exit (param i32)))
              {imports}
              (memory (export "memory") 4)
              (data (i32.const {ANSWER}) {text(answer)})
              (data (i32.const {VALIDITY}) {text(VALID)})
              {more}
              (func $put (param $fd i32) (param $place i32) (param $size i32)
                (i32.store (i32.const {ROOM}) (local.get $place))
                (i32.store (i32.const {ROOM + 4}) (local.get $size))
                (drop (call $write (local.get $fd) (i32.const {ROOM}) (i32.const 1) (i32.const {ROOM + 8}))))
              (func $say (param $fd i32)
                (call $put (local.get $fd) (i32.const {ANSWER}) (i32.const {size})))
              (func (export "_start")
                (drop (call $args (i32.const {ROOM + 16}) (i32.const {ROOM + 64})))
                (if (i32.eq (i32.load8_u (i32.load (i32.const {ROOM + 20}))) (i32.const 118))
                  (then (call $put (i32.const 1) (i32.const {VALIDITY}) (i32.const {len(VALID)})) (return)))
                {start}))"""
        )
    )


def digest(module: bytes) -> str:
    """As a policy names it."""
    return f"sha256:{hashlib.sha256(module).hexdigest()}"


class Bench:
    """A runtime, a folder of modules, and gates over both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "modules"
        self.folder.mkdir()
        self.cache = folder / "compiled"
        self.runtime = Runtime(CompiledCache(self.cache))
        self.loader = Loader(self.runtime, ModulesFolder(self.folder))
        self.rules: RuleSet = all_rules()

    def parts(self) -> Parts:
        """What policies share, with the modules of the folder."""
        return Parts(self.rules, modules=self.loader)

    def put(self, module: bytes, name: str = "") -> str:
        """Writes a module into the folder. Gives its digest."""
        (self.folder / (name or digest(module)[7:19])).write_bytes(module)
        return digest(module)

    def policy(self, module: bytes, **fields: Any) -> dict[str, Any]:
        """An entry of `spec.wasm`, its module in the folder. The time is more than any test needs."""
        return {"name": "module", "module": self.put(module), "timeout": "5s", **fields}

    def screener(self, *policies: dict[str, Any], **spec: Any) -> Screener:
        """Gates that ask the policies."""
        return Screener(
            Policy("p", "v", GuardrailPolicySpec.model_validate({**spec, "wasm": policies})), self.parts()
        )


def reports(verdict: Any, names: Sequence[str] = ("wasm/module",)) -> list[Any]:
    """The reports of modules in a verdict."""
    return [report for report in verdict.reports if report.detector in names]
