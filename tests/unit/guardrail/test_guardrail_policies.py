"""Policies in force: a broken update keeps the last good one, whole; what runs keeps what it began with."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.prompt import Prompt
from sluice_api.objects.steps import FallbackStep, GenerateStep, Steps
from sluice_api.snapshot import CompiledPipeline, CompiledPolicy, Snapshot
from sluice_guardrail.domain.model import Channel, Decision, Segment
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.streaming import OutputStream
from sluice_guardrail.keeping import KeptPolicies
from sluice_guardrail.policies import Policies
from sluice_guardrail.updating import PolicyUpdates, watch
from sluice_guardrail.wasm.folder import ModulesFolder
from sluice_guardrail.wasm.loading import Loader
from sluice_servicekit.errors import FailedPrecondition
from support.wasm import Bench, core, digest

BLOCKS, FLAGS = core(answer='{"action":"block"}'), core(answer='{"action":"flag"}')
GONE = digest(b"gone")


def _snapshot(**policies: dict[str, Any]) -> Snapshot:
    """Of policies by name, each with its spec."""
    compiled = {
        name: CompiledPolicy(version=str(spec), spec=GuardrailPolicySpec.model_validate(spec))
        for name, spec in policies.items()
    }
    return Snapshot(guardrail_policies=compiled)


def _asks(module: str, **fields: Any) -> dict[str, Any]:
    return {
        "wasm": [{"name": "module", "module": module, "stages": ["pre", "stream", "post"], "timeout": "5s"}],
        **fields,
    }


def _apply(policies: Policies, **specs: dict[str, Any]) -> None:
    policies.swap(policies.prepare(_snapshot(**specs)))


def _decision(screener: Screener) -> Decision:
    return screener.screen_input([Segment(Channel.USER, "user", "hello")]).decision


def _updates(policy: str, result: str) -> float:
    name = "sluice_guardrail_policy_updates_total"
    return REGISTRY.get_sample_value(name, {"policy": policy, "result": result}) or 0.0


def test_broken_update_keeps_the_last_good_policy_whole(bench: Bench):
    policies = Policies(bench.parts())
    _apply(policies, a=_asks(bench.put(FLAGS), maxInputCharacters=100), b={})
    refusals = _updates("a", "refused")
    _apply(policies, a=_asks(GONE, maxInputCharacters=7), b={"maxInputCharacters": 8})
    assert _decision(policies.get("a")) is Decision.FLAG
    assert policies.get("a").spec.max_input_characters == 100
    assert policies.get("b").spec.max_input_characters == 8
    assert "no file in" in policies.refused["a"]
    assert _updates("a", "refused") == refusals + 1


def test_tenant_s_broken_module_refuses_the_whole_policy(bench: Bench):
    policies = Policies(bench.parts())
    override = {"names": ["acme"], "patch": _asks(GONE)}
    _apply(policies, a={"tenants": [override]})
    with pytest.raises(FailedPrecondition, match="not in force: wasm policy 'module'"):
        policies.get("a")


def test_policy_that_never_was_good_says_why_and_lets_nothing_pass(bench: Bench):
    policies = Policies(bench.parts())
    _apply(policies, a=_asks(GONE))
    for name in ("a", ""):
        with pytest.raises(FailedPrecondition) as refused:
            policies.get(name)
        assert refused.value.reason == "POLICY_REFUSED"


def test_mended_policy_is_no_longer_refused(bench: Bench):
    policies = Policies(bench.parts())
    _apply(policies, a=_asks(GONE))
    _apply(policies, a=_asks(bench.put(BLOCKS)))
    assert policies.refused == {}
    assert _decision(policies.get("a")) is Decision.BLOCK


def test_change_that_is_taken_back_needs_no_module_file(bench: Bench):
    policies = Policies(bench.parts())
    first, second = _asks(bench.put(FLAGS)), _asks(bench.put(BLOCKS))
    _apply(policies, a=first)
    before = policies.get("a")
    _apply(policies, a=second)
    for file in bench.folder.iterdir():
        file.unlink()
    _apply(policies, a=first)
    assert policies.get("a") is before
    _apply(policies, a=second)
    assert _decision(policies.get("a")) is Decision.BLOCK


def test_preparing_changes_nothing(bench: Bench):
    policies = Policies(bench.parts())
    _apply(policies, a=_asks(bench.put(FLAGS)))
    policies.prepare(_snapshot(a=_asks(bench.put(BLOCKS))))
    policies.prepare(_snapshot(a=_asks(GONE)))
    assert _decision(policies.get("a")) is Decision.FLAG
    assert policies.refused == {}


def test_open_stream_keeps_the_policy_it_began_with(bench: Bench):
    policies = Policies(bench.parts())
    _apply(policies, a=_asks(bench.put(FLAGS), streaming="window"))
    stream = OutputStream(policies.get("a"), "", ())
    stream.feed("First sentence. ")
    _apply(policies, a=_asks(bench.put(BLOCKS), streaming="window"))
    stream.feed("Second sentence. ")
    assert stream.finish().verdict.decision is Decision.FLAG
    assert _decision(policies.get("a")) is Decision.BLOCK


async def test_policy_that_waits_for_its_module_comes_into_force_when_it_arrives(
    bench: Bench, tmp_path: Path
):
    policies, told = Policies(bench.parts()), []
    updates = PolicyUpdates(policies, lambda problems: told.append(list(problems)), lambda in_force: None)
    await updates.apply(_snapshot(a=_asks(digest(BLOCKS))))
    assert told[0][0].startswith("GuardrailPolicy a: wasm policy 'module', module sha256:")
    watching = asyncio.create_task(watch(bench.folder, updates.retry))
    try:
        async with asyncio.timeout(60):
            while policies.refused:
                bench.put(BLOCKS)
                await asyncio.sleep(0.5)
    finally:
        watching.cancel()
    assert _decision(policies.get("a")) is Decision.BLOCK
    assert told[-1] == []


def _restarted(bench: Bench, file: Path) -> Policies:
    """Another process on the same files, whose modules folder has lost everything."""
    for each in bench.folder.iterdir():
        each.unlink()
    bench.loader = Loader(bench.runtime, ModulesFolder(bench.folder, file.parent / "kept"))
    return Policies(bench.parts(), KeptPolicies(file).read())


def test_last_good_policy_survives_a_restart_even_without_its_module_file(bench: Bench, tmp_path: Path):
    file = tmp_path / "policies.json"
    bench.loader = Loader(bench.runtime, ModulesFolder(bench.folder, tmp_path / "kept"))
    policies = Policies(bench.parts())
    override = {"names": ["acme"], "patch": {"wasm": []}}
    _apply(policies, a=_asks(bench.put(BLOCKS), tenants=[override]), b={})
    KeptPolicies(file).write(policies.in_force)
    again = _restarted(bench, file)
    _apply(again, a=_asks(GONE))
    assert _decision(again.get("a")) is Decision.BLOCK
    assert _decision(again.get("a", "acme")) is Decision.ALLOW
    assert "a" in again.refused
    assert set(again.in_force) == {"a"}


def test_kept_module_that_was_changed_does_not_serve(bench: Bench, tmp_path: Path):
    file = tmp_path / "policies.json"
    bench.loader = Loader(bench.runtime, ModulesFolder(bench.folder, tmp_path / "kept"))
    policies = Policies(bench.parts())
    _apply(policies, a=_asks(bench.put(BLOCKS)))
    KeptPolicies(file).write(policies.in_force)
    (tmp_path / "kept" / digest(BLOCKS)[7:]).write_bytes(FLAGS)
    again = _restarted(bench, file)
    _apply(again, a=_asks(GONE))
    with pytest.raises(FailedPrecondition):
        again.get("a")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a":{"name":"a"}}'])
def test_kept_policies_that_cannot_be_read_are_none(tmp_path: Path, content: bytes):
    (tmp_path / "policies.json").write_bytes(content)
    assert KeptPolicies(tmp_path / "policies.json").read() == {}


def test_modules_that_nothing_names_are_not_kept(tmp_path: Path):
    folder = ModulesFolder(None, tmp_path / "kept")
    for module in (BLOCKS, FLAGS):
        folder.keep(digest(module)[7:], module)
    folder.forget_all_but({digest(FLAGS)[7:]})
    assert folder.read(digest(FLAGS)[7:]) == FLAGS
    with pytest.raises(FailedPrecondition):
        folder.read(digest(BLOCKS)[7:])


def test_text_of_templates_and_of_fallbacks_is_guarded_as_instructions_are(bench: Bench):
    template = Prompt(template="For staff alone, {tenant}.\n\n{passages}")
    generate = GenerateStep(model_server_ref="m", on_fail="catch:small", prompt=template)
    small = FallbackStep(model_server_ref="s", instructions="Be brief.")
    steps = Steps(generate=generate, fallbacks={"small": small})
    spec = PipelineSpec(knowledge_base_ref="k", guardrail_policy_ref="a", steps=steps)
    pipelines = {"default": CompiledPipeline(version="1", spec=spec)}
    policies = Policies(bench.parts())
    policies.swap(policies.prepare(_snapshot(a={}, b={}).model_copy(update={"pipelines": pipelines})))
    assert policies.in_force["a"].instructions == ("Be brief.", "For staff alone, .")
    assert policies.in_force["b"].instructions == ()
