"""`python -m sluice_guardrail.wasm.testing`: one module looked through, or run over cases, as the service does.

`inspect MODULE FIELDS` and `test MODULE CASES FIELDS`, where FIELDS is a JSON object of the policy's `kind`,
`settings`, `timeout` and `memory`. Prints one JSON object: `error` in it says what is wrong with a file, `refused` why
the module would not load.
"""

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wasmtime import MemoryType, Module

from sluice_api.objects.guardrail_policy import WasmKind, WasmPolicy
from sluice_guardrail.wasm.abi import Output
from sluice_guardrail.wasm.compiled_cache import CompiledCache
from sluice_guardrail.wasm.compiling import compile_apart
from sluice_guardrail.wasm.failures import ModuleRefused, PolicyFailed
from sluice_guardrail.wasm.folder import MAX_MODULE_BYTES, ModulesFolder
from sluice_guardrail.wasm.loading import Loader, cases_of, prepare
from sluice_guardrail.wasm.policy import LoadedPolicy, read
from sluice_guardrail.wasm.runtime import Limits, Runtime, Verb
from sluice_guardrail.wasm.translating import input_of, ruling_of
from sluice_guardrail.wasm.written_cases import (
    MAX_FILE_BYTES,
    CaseFile,
    CasesError,
    Got,
    WrittenCase,
    differences,
    policy_of,
    read_cases,
    redacted,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call came to."""

    got: Got
    milliseconds: float | None = None
    """None where the module was not asked, since it refused the settings."""
    logged: tuple[str, ...] = ()


def main() -> None:
    """Does what the command line says."""
    verb, module, *more = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(CompiledCache(Path(folder) / "compiled"), compile_apart)
        try:
            report = _report(runtime, Path(folder), verb, Path(module), more)
        except CasesError as error:
            report = {"error": str(error)}
        finally:
            runtime.close()
    sys.stdout.write(json.dumps(report) + "\n")


def _report(runtime: Runtime, folder: Path, verb: str, file: Path, more: list[str]) -> Json:
    content = _read(file, MAX_MODULE_BYTES)
    digest = hashlib.sha256(content).hexdigest()
    report: Json = {"digest": f"sha256:{digest}", "bytes": len(content)}
    given = json.loads(more[-1])
    (folder / "module.wasm").write_bytes(content)
    loader = Loader(runtime, ModulesFolder(folder))
    if verb == "inspect":
        return report | inspected(runtime, loader, content, policy_of(digest, given), given)
    try:
        cases = read_cases(_read(Path(more[0]), MAX_FILE_BYTES), digest, given)
    except CasesError as error:
        raise CasesError(f"{more[0]}: {error}") from None
    return report | tested(runtime, loader, content, cases)


def inspected(runtime: Runtime, loader: Loader, content: bytes, policy: WasmPolicy, given: Json) -> Json:
    """What a module is, and whether it would load: `refused` is empty where it would.

    Args:
        given: Which of the policy's fields count; the settings are checked only where they do.
    """
    report: Json = {"refused": ""}
    found: list[Module] = []
    try:
        runtime.compile(content, policy.module.removeprefix("sha256:"), found.append)
    except ModuleRefused as refused:
        report["refused"] = _why(refused)
    for module in found:
        report |= _described(module)
        if "kind" not in given:
            policy = policy.model_copy(update={"kind": report["kind"]})
    report["kind"] = policy.kind
    if report["refused"]:
        return report
    try:
        compiled = prepare(runtime, content, policy.module.removeprefix("sha256:"), policy)
        if policy.kind is WasmKind.CORE:
            report["abi"] = runtime.abi_version(compiled, Limits(policy.timeout, policy.memory))
        report["carried_cases"] = len(cases_of(content))
        if "settings" in given:
            loader.load([policy])
    except (ModuleRefused, PolicyFailed) as refused:
        report["refused"] = _why(refused)
    return report


def tested(runtime: Runtime, loader: Loader, content: bytes, file: CaseFile) -> Json:
    """What a module makes of each case, and how that differs from what is expected."""
    report: Json = {"kind": file.policy.kind, "refused": "", "cases": []}
    started = time.perf_counter()
    try:
        prepare(runtime, content, file.policy.module.removeprefix("sha256:"), file.policy)
    except (ModuleRefused, PolicyFailed) as refused:
        return {**report, "refused": _why(refused)}
    report["load_ms"] = _since(started)
    loaded: dict[str, LoadedPolicy | str] = {}

    def load(policy: WasmPolicy) -> LoadedPolicy | str:
        key = json.dumps(policy.settings, sort_keys=True)
        if key not in loaded:
            try:
                (loaded[key],) = loader.load([policy])
            except ModuleRefused as refused:
                loaded[key] = _why(refused)
        return loaded[key]

    report["cases"] = [_tested(load, file.policy, case) for case in file.cases]
    times = [case["milliseconds"] for case in report["cases"] if case["milliseconds"] is not None]
    return {
        **report,
        "median_ms": round(statistics.median(times), 3) if times else None,
        "most_ms": max(times, default=None),
    }


def _tested(load: Callable[[WasmPolicy], LoadedPolicy | str], policy: WasmPolicy, case: WrittenCase) -> Json:
    settings = policy.settings if case.settings is None else case.settings
    loaded = load(policy.model_copy(update={"settings": settings}))
    asked = Asked(Got(error=loaded)) if isinstance(loaded, str) else _asked(loaded, case)
    found = [asdict(each) for each in differences(case.expect, asked.got)]
    return {
        "name": case.name,
        "passed": not found,
        "differences": found,
        "got": asdict(asked.got),
        "milliseconds": asked.milliseconds,
        "logged": list(asked.logged),
    }


def _asked(loaded: LoadedPolicy, case: WrittenCase) -> Asked:
    given = input_of(case.question, loaded.spec)
    document = given.model_dump_json().encode()
    limits = Limits(loaded.spec.timeout, loaded.spec.memory)
    started = time.perf_counter()
    try:
        answer = loaded.runtime.ask(
            loaded.compiled, loaded.spec.kind, Verb.EVALUATE, document, limits, given.scores
        )
    except PolicyFailed as failed:
        return Asked(_failed(failed), _since(started))
    milliseconds = _since(started)
    logged = tuple(line for _, line in answer.logged)
    try:
        return Asked(_got(case.text, read(Output, answer.content)), milliseconds, logged)
    except PolicyFailed as failed:
        return Asked(_failed(failed), milliseconds, logged)


def _failed(failed: PolicyFailed) -> Got:
    return Got(error=f"{failed.failure}: {failed}")


def _got(text: str, output: Output) -> Got:
    ruling = ruling_of(output, text)
    findings = ruling.detection.findings if output.spans else ()
    spans = sorted((each.span.start, each.span.end, each.replacement) for each in findings)
    return Got(
        action=ruling.action,
        score=ruling.detection.score,
        labels=output.labels,
        spans=tuple(text[start:end] for start, end, _ in spans),
        text=redacted(text, spans),
        reason=output.reason,
    )


def _described(module: Module) -> Json:
    exports = {each.name: each.type for each in module.exports}
    memory = exports.get("memory")
    command = "_start" in exports and "guard_evaluate" not in exports
    return {
        "kind": WasmKind.WASI if command else WasmKind.CORE,
        "exports": sorted(exports),
        "imports": sorted(f"{each.module}.{each.name}" for each in module.imports),
        "memory_pages": memory.limits.min if isinstance(memory, MemoryType) else None,
    }


def _why(refused: Exception) -> str:
    """Without the name of the policy, which is ours alone."""
    return str(refused.__cause__ if isinstance(refused.__cause__, ModuleRefused | PolicyFailed) else refused)


def _read(file: Path, most: int) -> bytes:
    try:
        if file.stat().st_size > most:
            raise CasesError(f"{file}: larger than {most >> 20} MiB")
        return file.read_bytes()
    except OSError as error:
        raise CasesError(f"{file}: {error.strerror or error}") from None


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)


if __name__ == "__main__":
    main()
