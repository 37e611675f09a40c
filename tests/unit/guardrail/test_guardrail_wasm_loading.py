"""How a module comes to serve: what is refused, what is kept compiled, and where modules are looked for."""

import json
import os
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from sluice_api.objects.guardrail_policy import WasmPolicy
from sluice_guardrail.domain.model import Channel, Decision, Segment
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.wasm.compiled_cache import CompiledCache
from sluice_guardrail.wasm.compiling import compile_apart
from sluice_guardrail.wasm.failures import ModuleRefused
from sluice_guardrail.wasm.folder import MAX_MODULE_BYTES, ModulesFolder
from sluice_guardrail.wasm.loading import Loader
from sluice_guardrail.wasm.runtime import Runtime
from sluice_guardrail.wasm.sections import CASES, custom_section, with_custom_section
from support.wasm import Bench, command, core, digest


def _load(bench: Bench, module: bytes, **fields: object) -> None:
    bench.loader.load([WasmPolicy.model_validate(bench.policy(module, **fields))])


def _decision(screener: Screener) -> Decision:
    return screener.screen_input([Segment(Channel.USER, "user", "hello")]).decision


REFUSED = {
    "an unknown import": (core(imports='(import "env" "fetch" (func))'), "imports `env.fetch`"),
    "an import that WASI does not have": (
        core(imports='(import "wasi_snapshot_preview1" "sock_open" (func))'),
        "imports `wasi_snapshot_preview1.sock_open`",
    ),
    "an import of another type": (
        core(imports='(import "guard" "log" (func))'),
        "its import `guard.log` is () -> ()",
    ),
    "an imported memory": (core(imports='(import "env" "more" (global i32))'), "imports `env.more`"),
    "no evaluate": (core(leave_out="guard_evaluate"), "does not export `guard_evaluate`"),
    "no version": (core(leave_out="guard_abi_version"), "does not export `guard_abi_version`"),
    "no memory": (b"\0asm\1\0\0\0", "does not export its memory"),
    "a command": (command(""), "does not export `guard_abi_version`, which kind `core` needs"),
    "another version": (core(version="(i32.const 2)"), "speaks version 2"),
    "a trap for a version": (core(version="(unreachable)"), "trap: unreachable"),
    "settings that it refuses": (
        core(validity='{"valid":false,"message":"`limit` is missing"}'),
        "refuses the settings: `limit` is missing",
    ),
    "a trap over its settings": (core(validate="(unreachable)"), "trap: unreachable"),
    "no word on its settings": (core(validity="yes"), "not of the schema"),
    "a trap at its start": (core(more="(func $go (unreachable)) (start $go)"), "trap: unreachable"),
    "more memory than it may": (core(pages=1000), "memory"),
    "a table of ten million": (core(more="(table 10000000 funcref)"), "table"),
    "tables by the dozen": (core(more="(table 1 funcref)" * 12), "table"),
    "two memories": (b"\0asm\1\0\0\0\5\5\2\0\1\0\1", "no module that can run here"),
    "WebAssembly text": (b"(module)", "no binary of WebAssembly"),
    "no module at all": (b"MZ, and nothing that runs", "no module that can run here"),
    "half a module": (core()[:60], "no module that can run here"),
    "nothing": (b"", "no module that can run here"),
}


@pytest.mark.parametrize(("module", "says"), REFUSED.values(), ids=REFUSED)
def test_module_is_refused_with_its_reason(bench: Bench, module: bytes, says: str):
    with pytest.raises(ModuleRefused) as refused:
        _load(bench, module)
    assert says in refused.value.message
    assert refused.value.message.startswith("wasm policy 'module', module sha256:")


def test_start_that_never_ends_is_refused(bench: Bench):
    with pytest.raises(ModuleRefused, match="no answer after"):
        _load(bench, core(more="(func $go (loop (br 0))) (start $go)"))


def test_module_is_compiled_in_a_process_of_its_own(bench: Bench):
    bench.runtime.close()
    bench.runtime = Runtime(CompiledCache(bench.cache), compile_apart)
    bench.loader = Loader(bench.runtime, ModulesFolder(bench.folder))
    assert _decision(bench.screener(bench.policy(core(answer='{"action":"block"}')))) is Decision.BLOCK
    with pytest.raises(ModuleRefused, match="no module that can run here"):
        _load(bench, core()[:60])


def test_module_that_takes_too_long_to_compile_is_refused():
    with pytest.raises(ModuleRefused, match=r"cannot be compiled within 0\.001 s"):
        compile_apart(core(), seconds=0.001)


def test_module_that_takes_too_much_memory_to_compile_is_refused():
    adds = "(drop (i32.const 1))" * 8
    module = bytes(wat2wasm(f"(module {f'(func {adds})' * 60_000})"))
    with pytest.raises(ModuleRefused, match="cannot be compiled within 100 MiB of memory"):
        compile_apart(module, memory_mib=100)
    assert compile_apart(core(), memory_mib=100)


def test_module_that_is_not_there_is_named_with_the_folder(bench: Bench):
    policy = WasmPolicy(name="gone", module=digest(b"gone"))
    with pytest.raises(ModuleRefused, match=f"no file in {bench.folder} has this digest"):
        bench.loader.load([policy])


def test_file_that_is_too_large_is_left_out_and_named(bench: Bench):
    with (bench.folder / "huge.wasm").open("wb") as huge:
        huge.truncate(MAX_MODULE_BYTES + 1)
    with pytest.raises(ModuleRefused, match=r"larger than 32 MiB and left out: huge\.wasm"):
        bench.loader.load([WasmPolicy(name="huge", module=digest(b"huge"))])


def test_modules_of_a_config_map_are_found_and_followed(tmp_path: Path):
    """As kubelet mounts one: links to `..data`, which is a link to a folder that is replaced."""
    first, second = core(answer='{"action":"flag"}'), core(answer='{"action":"block"}')
    for name, module in (("..2026_1", first), ("..2026_2", second)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy").write_bytes(module)
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "policy").symlink_to("..data/policy")
    folder = ModulesFolder(tmp_path)
    assert folder.read(digest(first)[7:]) == first
    with pytest.raises(ModuleRefused):
        folder.read(digest(second)[7:])
    (tmp_path / "..new").symlink_to("..2026_2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert folder.read(digest(second)[7:]) == second


def test_file_that_changes_in_place_is_no_longer_what_it_was(bench: Bench):
    first, second = core(), core(answer='{"action":"block"}', more="(global i32 (i32.const 0))")
    folder = ModulesFolder(bench.folder)
    bench.put(first, "policy.wasm")
    assert folder.read(digest(first)[7:]) == first
    bench.put(second, "policy.wasm")
    with pytest.raises(ModuleRefused):
        folder.read(digest(first)[7:])


def test_policy_in_force_does_not_mind_that_its_file_is_gone(bench: Bench):
    policy = bench.policy(core(answer='{"action":"block"}'))
    screener = bench.screener(policy)
    for file in bench.folder.iterdir():
        file.unlink()
    assert _decision(screener) is Decision.BLOCK
    assert _decision(bench.screener(policy)) is Decision.BLOCK


def _fresh(bench: Bench) -> Bench:
    """Another process on the same folders."""
    bench.runtime.close()
    bench.runtime = Runtime(CompiledCache(bench.cache))
    bench.loader = Loader(bench.runtime, ModulesFolder(bench.folder))
    return bench


def test_compiled_module_is_taken_from_the_cache(bench: Bench):
    policy = bench.policy(core(answer='{"action":"block"}'))
    bench.screener(policy)
    (kept,) = bench.cache.glob("*.compiled")
    written = kept.stat().st_mtime_ns
    assert _decision(_fresh(bench).screener(policy)) is Decision.BLOCK
    assert kept.stat().st_mtime_ns == written
    assert (bench.cache.stat().st_mode & 0o077, (bench.cache / "key").stat().st_mode & 0o077) == (0, 0)


@pytest.mark.parametrize("how", ["one bit", "cut off", "empty", "another module's", "with a key of its own"])
def test_compiled_file_that_was_tampered_with_is_found_out_and_compiled_again(
    bench: Bench, how: str, caplog: pytest.LogCaptureFixture
):
    blocks, allows = bench.policy(core(answer='{"action":"block"}')), bench.policy(core())
    bench.screener(allows)
    (other,) = bench.cache.glob("*.compiled")
    bench.screener(blocks)
    (kept,) = set(bench.cache.glob("*.compiled")) - {other}
    was = kept.read_bytes()
    if how == "one bit":
        kept.write_bytes(was[:-100] + bytes([was[-100] ^ 1]) + was[-99:])
    elif how == "cut off":
        kept.write_bytes(was[: len(was) // 2])
    elif how == "empty":
        kept.write_bytes(b"")
    elif how == "another module's":
        kept.write_bytes(other.read_bytes())
    else:
        (bench.cache / "key").chmod(0o644)
    assert _decision(_fresh(bench).screener(blocks)) is Decision.BLOCK
    assert "not what was written there" in caplog.text
    assert kept.read_bytes()[32:] == was[32:]


def test_cache_that_cannot_be_written_costs_only_time(bench: Bench, caplog: pytest.LogCaptureFixture):
    cache = CompiledCache(bench.cache)
    os.rename(bench.cache, bench.cache.with_name("gone"))  # noqa: PTH104 - from under it
    cache.put("name", b"compiled")
    assert "cannot be kept" in caplog.text
    assert cache.get("name") is None


def test_cache_keeps_what_was_written_last(tmp_path: Path):
    cache = CompiledCache(tmp_path)
    for number in range(70):
        cache.put(f"module-{number}", b"compiled")
        os.utime(tmp_path / f"module-{number}.compiled", (number, number))
    assert len(list(tmp_path.glob("*.compiled"))) == 64
    assert (cache.get("module-0"), cache.get("module-69")) == (None, b"compiled")


def _with_cases(*cases: dict[str, object], answer: str = '{"action":"flag","labels":["seen"]}') -> bytes:
    return with_custom_section(core(answer=answer), CASES, json.dumps(cases).encode())


def _case(expect: dict[str, object], **given: object) -> dict[str, object]:
    return {
        "name": "one",
        "input": {"stage": "pre", "channel": "user", "text": "hello", **given},
        "expect": expect,
    }


def test_module_whose_own_cases_hold_serves(bench: Bench):
    _load(
        bench,
        _with_cases(_case({"action": "flag", "labels": ["seen"]}), _case({"action": "flag", "spans": []})),
    )


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ({"action": "block"}, "its own case 'one' does not hold: the action is flag, not block"),
        ({"action": "flag", "labels": ["other"]}, "the labels are"),
        ({"action": "flag", "spans": [{"start": 0, "end": 1}]}, "there are 0 spans"),
        ({}, f"its section {CASES} cannot be read: 0.expect.action"),
        ({"action": "mask"}, f"its section {CASES} cannot be read: 0.expect.action"),
    ],
)
def test_module_whose_own_cases_do_not_hold_is_refused(bench: Bench, expect: dict[str, object], says: str):
    with pytest.raises(ModuleRefused) as refused:
        _load(bench, _with_cases(_case(expect)))
    assert says in refused.value.message


def test_module_may_not_carry_cases_without_end(bench: Bench):
    with pytest.raises(ModuleRefused, match=f"its section {CASES} cannot be read"):
        _load(bench, _with_cases(*[_case({"action": "flag"})] * 257))


def test_custom_section_is_put_in_and_replaced():
    once = with_custom_section(core(), CASES, b"[1]")
    assert custom_section(once, CASES) == b"[1]"
    content = b"x" * 300
    twice = with_custom_section(once, CASES, content)
    assert custom_section(twice, CASES) == content
    assert len(twice) < len(once) + 310
    assert custom_section(core(), CASES) is None
    with pytest.raises(ValueError, match="not a WebAssembly module"):
        with_custom_section(b"MZ", CASES, b"")
