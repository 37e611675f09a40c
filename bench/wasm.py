"""What asking a policy in WebAssembly costs: compile, deserialise, and a call about 4 KB of text.

    .venv/bin/python bench/wasm.py [MODULE.wasm | 'MODULE.wasm={"setting": 1}'] ...

Measures two small modules, one of each kind, that read all they are told, and every MODULE. A call is all of it: the
question as JSON, a store, an instance, the module's work, the answer read by its schema. Then two hundred calls at
once, and the resident memory over ten thousand.
"""

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import JsonValue
from wasmtime import Module, wat2wasm

from sluice_api.objects.guardrail_policy import WasmKind, WasmPolicy, WasmStage
from sluice_guardrail.domain.model import Channel
from sluice_guardrail.wasm.abi import Input
from sluice_guardrail.wasm.compiled_cache import CompiledCache
from sluice_guardrail.wasm.engine import new_engine
from sluice_guardrail.wasm.folder import ModulesFolder
from sluice_guardrail.wasm.loading import Loader
from sluice_guardrail.wasm.policy import LoadedPolicy
from sluice_guardrail.wasm.runtime import Limits, Runtime

TEXT = ("The Belvoir kiln is made in the city of Porto, and fired twice a day. " * 60)[:4096]
CALLS, AT_ONCE, MANY = 1000, 200, 10_000

_READ = """(loop (local.set $sum (i32.add (local.get $sum) (i32.load8_u (i32.add (local.get $ptr) (local.get $i)))))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get $i) (local.get $len))))"""
CORE = f"""(module (memory (export "memory") 16)
  (data (i32.const 16) "{{\\22action\\22:\\22allow\\22}}") (data (i32.const 64) "{{\\22valid\\22:true}}")
  (func (export "guard_abi_version") (result i32) (i32.const 1))
  (func (export "guard_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "guard_validate_settings") (param i32 i32) (result i64) (i64.const {64 << 32 | 14}))
  (func (export "guard_evaluate") (param $ptr i32) (param $len i32) (result i64) (local $sum i32) (local $i i32)
    {_READ} (i64.const {16 << 32 | 18})))"""
COMMAND = f"""(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  (data (i32.const 16) "{{\\22action\\22:\\22allow\\22}}") (data (i32.const 64) "{{\\22valid\\22:true}}")
  (func (export "_start") (local $ptr i32) (local $len i32) (local $sum i32) (local $i i32)
    (drop (call $args (i32.const 128) (i32.const 160)))
    (i32.store (i32.const 256) (i32.const 16)) (i32.store (i32.const 260) (i32.const 18))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 132))) (i32.const 118))
      (then (i32.store (i32.const 256) (i32.const 64)) (i32.store (i32.const 260) (i32.const 14))))
    (i32.store (i32.const 264) (i32.const 1024)) (i32.store (i32.const 268) (i32.const 900000))
    (drop (call $read (i32.const 0) (i32.const 264) (i32.const 1) (i32.const 272)))
    (local.set $ptr (i32.const 1024)) (local.set $len (i32.load (i32.const 272)))
    {_READ} (drop (call $write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 272)))))"""


@dataclass(frozen=True)
class Figures:
    """Milliseconds."""

    compile: float
    deserialise: float
    instance: float
    """A store and an instance, and nothing asked of it."""
    p50: float
    p95: float


def measure(
    content: bytes,
    kind: WasmKind,
    folder: Path,
    settings: Mapping[str, JsonValue] | None = None,
    calls: int = CALLS,
) -> Figures:
    """What a module costs."""
    runtime, policy, compiling = load(content, kind, folder, settings)
    given = _given(policy)
    limits = Limits(5.0, 64)
    engine = new_engine()
    code = next((folder / "compiled").glob(f"{policy.compiled.digest}-*")).read_bytes()[32:]
    deserialising = [_timed(lambda: Module.deserialize(engine, code)) for _ in range(20)]
    asking = sorted(_timed(lambda: policy.evaluate(given)) for _ in range(calls))
    starting = 0.0
    if kind is WasmKind.CORE:
        starting = statistics.median(
            _timed(lambda: runtime.abi_version(policy.compiled, limits)) for _ in range(calls // 5)
        )
    runtime.close()
    at = lambda share: asking[int(len(asking) * share)]  # noqa: E731
    return Figures(compiling, statistics.median(deserialising), starting, at(0.5), at(0.95))


def load(
    content: bytes, kind: WasmKind, folder: Path, settings: Mapping[str, JsonValue] | None = None
) -> tuple[Runtime, LoadedPolicy, float]:
    """A module loaded as the service does, and the milliseconds that took."""
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    (modules / digest).write_bytes(content)
    runtime = Runtime(CompiledCache(folder / "compiled"))
    loader = Loader(runtime, ModulesFolder(modules))
    policy = WasmPolicy(
        name="bench", module=f"sha256:{digest}", kind=kind, timeout="5s", memory=64, settings=settings or {}
    )
    started = time.perf_counter()
    (loaded,) = loader.load([policy])
    return runtime, loaded, (time.perf_counter() - started) * 1000


def _given(policy: LoadedPolicy) -> Input:
    text = {"text": TEXT, "normalized": TEXT, "settings": policy.spec.settings}
    return Input(stage=WasmStage.PRE, channel=Channel.USER, **text)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _at_once(policy: LoadedPolicy) -> None:
    given = _given(policy)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(policy.evaluate, [given] * AT_ONCE))
        took = _timed(lambda: list(threads.map(policy.evaluate, [given] * AT_ONCE)))
        print(f"\n{AT_ONCE} calls over 4 threads: {took:.0f} ms")
        resident = [psutil.Process().memory_info().rss]
        for _ in range(4):
            list(threads.map(policy.evaluate, [given] * (MANY // 4)))
            resident.append(psutil.Process().memory_info().rss)
    print(f"resident MiB over {MANY} calls: {', '.join(f'{each / (1 << 20):.1f}' for each in resident)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE.wasm[=SETTINGS]")
    measured = [
        ("small, core", bytes(wat2wasm(CORE)), WasmKind.CORE, ""),
        ("small, command", bytes(wat2wasm(COMMAND)), WasmKind.WASI, ""),
    ]
    for given in parser.parse_args().modules:
        file, _, settings = given.partition("=")
        content = Path(file).read_bytes()
        kind = WasmKind.CORE if b"guard_evaluate" in content else WasmKind.WASI
        measured.append((f"{Path(file).stem}, {kind}", content, kind, settings))
    columns = ("KiB", "compile", "deserialise", "instance", "call p50", "p95")
    print(f"{'ms':32}" + "".join(f"{column:>12}" for column in columns))
    with tempfile.TemporaryDirectory() as folder:
        for name, content, kind, settings in measured:
            calls = CALLS if len(content) < 1 << 20 else CALLS // 5
            found = measure(content, kind, Path(folder), json.loads(settings or "{}"), calls)
            cells = (found.compile, found.deserialise, found.instance, found.p50, found.p95)
            print(f"{name:32}{len(content) / 1024:12.1f}" + "".join(f"{cell:12.3f}" for cell in cells))
        _at_once(load(measured[0][1], WasmKind.CORE, Path(folder))[1])


if __name__ == "__main__":
    main()
