"""Experiments and adapters on their way into the snapshot."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_api import experiments
from sluice_api.compiling import Compilation, compile_objects
from sluice_api.errors import CompileError, LoadError
from sluice_api.loading import load
from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.snapshot import Snapshot

SERVER = {"baseModel": "qwen", "external": {"urls": ["http://x/v1"]}}
PIPELINE = {
    "knowledgeBaseRef": "default",
    "guardrailPolicyRef": "default",
    "steps": {"generate": {"modelServerRef": "vllm", "modelName": "support"}},
}
ADAPTER = {
    "modelServerRef": "vllm",
    "modelName": "support-r2",
    "revision": "r2",
    "source": {"s3": {"bucket": "adapters", "key": "support/r2"}},
}
ARMS = [
    {"name": "base", "role": "Control", "weight": 90},
    {"name": "new", "role": "Treatment", "weight": 10, "adapterRef": "support-r2"},
]
EXPERIMENT = {"modelServerRef": "vllm", "modelName": "support", "arms": ARMS}


def _object(kind: str, name: str, spec: object, **more: object) -> dict[str, Any]:
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
        **more,
    }


def _compile(
    folder: Path,
    experiment: object = EXPERIMENT,
    adapter: object = ADAPTER,
    pipeline: object = PIPELINE,
    status: object = None,
    adapter_status: object = None,
    more: tuple[dict[str, Any], ...] = (),
) -> Compilation:
    objects = [
        _object("KnowledgeBase", "default", {}),
        _object("GuardrailPolicy", "default", {}),
        _object("ModelServer", "vllm", SERVER),
        _object("Pipeline", "default", pipeline),
        _object("LoRAAdapter", "support-r2", adapter, status=adapter_status or {}),
        _object("AdapterExperiment", "trial", experiment, status=status or {}),
        *more,
    ]
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    return compile_objects(load([folder]))


def test_arms_are_served_under_their_adapters_names(tmp_path: Path):
    compilation = _compile(tmp_path)
    assert compilation.warnings == ()
    [(name, experiment)] = compilation.snapshot.experiments.items()
    assert (name, experiment.models) == ("trial", {"base": "", "new": "support-r2"})
    assert (experiment.promoted, experiment.resting) == ("", ())


def test_operators_word_goes_before_the_specs(tmp_path: Path):
    waiting = {
        "engineName": "support--8f3c2a",
        "conditions": [{"type": "Loaded", "status": "True"}, {"type": "Ready", "status": "False"}],
    }
    found = _compile(tmp_path, status={"promoted": "new"}, adapter_status=waiting).snapshot.experiments[
        "trial"
    ]
    assert (found.models["new"], found.promoted, found.resting) == ("support--8f3c2a", "new", ("new",))
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert _compile(tmp_path, adapter_status=ready).snapshot.experiments["trial"].resting == ()


def test_snapshot_survives_the_wire(tmp_path: Path):
    snapshot = _compile(tmp_path).snapshot
    assert Snapshot.parse(snapshot.content, snapshot.digest) == snapshot


def test_experiment_is_found_by_the_model_that_it_splits(tmp_path: Path):
    found = _compile(tmp_path).snapshot
    assert found.experiment_on("vllm", "support") == ("trial", found.experiments["trial"])
    assert found.experiment_on("vllm", "support-r2") is None
    assert found.experiment_on("other", "support") is None
    assert found.experiment_on("vllm", "") is None
    base = _compile(
        tmp_path,
        {**EXPERIMENT, "modelName": "qwen"},
        pipeline={**PIPELINE, "steps": {"generate": {"modelServerRef": "vllm"}}},
    )
    assert base.warnings == ()
    for name in ("", "qwen"):
        assert base.snapshot.experiment_on("vllm", name) is not None


def test_version_of_a_pipeline_follows_the_adapters_behind_it_and_not_the_weights(tmp_path: Path):
    def version(**changes: Any) -> str:
        return _compile(tmp_path, **changes).snapshot.pipelines["default"].version

    assert version() != version(adapter={**ADAPTER, "revision": "r3"})
    more = [{**ARMS[0], "weight": 50}, {**ARMS[1], "weight": 50}]
    assert version() == version(experiment={**EXPERIMENT, "arms": more})
    base = {**PIPELINE, "steps": {"generate": {"modelServerRef": "vllm"}}}
    split = {"pipeline": base, "experiment": {**EXPERIMENT, "modelName": "qwen"}}
    assert version(**split) != version(**split, adapter={**ADAPTER, "revision": "r3"})
    away = {**PIPELINE, "steps": {"generate": {"modelServerRef": "vllm", "modelName": "other"}}}
    assert version(pipeline=away) == version(pipeline=away, adapter={**ADAPTER, "revision": "r3"})


def test_what_has_no_effect_is_pointed_out(tmp_path: Path):
    away = {**PIPELINE, "steps": {"generate": {"modelServerRef": "vllm", "modelName": "other"}}}
    idle = _object("ModelServer", "idle", SERVER)
    other = _object("LoRAAdapter", "unused", {**ADAPTER, "modelServerRef": "idle"})
    rewriting = _object("LoRAAdapter", "rewriting", {**ADAPTER, "modelName": "rewriting"})
    away["steps"]["rewrite"] = {"modelServerRef": "vllm", "modelName": "rewriting"}
    pods = _object("ModelServer", "pods", {"baseModel": "qwen", "vllm": {"image": "vllm:1"}})
    loaded = _object("LoRAAdapter", "loaded", {**ADAPTER, "modelServerRef": "pods"})
    warnings = _compile(tmp_path, pipeline=away, more=(idle, other, rewriting, pods, loaded)).warnings
    assert {warning.object: warning.message for warning in warnings} == {
        "AdapterExperiment/trial": "splits nothing: no Pipeline has modelName 'support' of 'vllm' in steps.generate",
        "LoRAAdapter/loaded": "has no effect without a cluster: the operator loads it",
        "LoRAAdapter/unused": "has no effect without a cluster: the operator loads it",
        "ModelServer/pods": "has no effect without a cluster: the operator starts vLLM's pods",
    }


EXTRACTIVE = _object("ModelServer", "quotes", {"extractive": {}})
SECOND = _object("ModelServer", "second", SERVER)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {"experiment": {**EXPERIMENT, "modelServerRef": "nope"}},
            ("AdapterExperiment/trial: spec.modelServerRef", "no ModelServer 'nope'", "there is: vllm"),
        ),
        (
            {"experiment": {**EXPERIMENT, "modelServerRef": "quotes"}, "more": (EXTRACTIVE,)},
            ("spec.modelServerRef", "'quotes' is extractive: it has no models to choose from"),
        ),
        (
            {"experiment": {**EXPERIMENT, "arms": [ARMS[0], {**ARMS[1], "adapterRef": "nope"}]}},
            ("spec.arms[1].adapterRef", "no LoRAAdapter 'nope'", "there is: support-r2"),
        ),
        (
            {"adapter": {**ADAPTER, "modelServerRef": "second"}, "more": (SECOND,)},
            ("spec.arms[1].adapterRef", "'support-r2' is an adapter of 'second', not of 'vllm'"),
        ),
        (
            {"more": (_object("AdapterExperiment", "other", EXPERIMENT),)},
            (
                "AdapterExperiment/trial: spec.modelName",
                "AdapterExperiment 'other' has 'support' of 'vllm' already",
            ),
        ),
        (
            {"more": (_object("LoRAAdapter", "twin", ADAPTER),)},
            (
                "LoRAAdapter/twin: spec.modelName",
                "LoRAAdapter 'support-r2' has 'support-r2' of 'vllm' already",
            ),
        ),
        (
            {"adapter": {**ADAPTER, "modelName": "qwen"}},
            ("LoRAAdapter/support-r2: spec.modelName", "'qwen' is the base model of 'vllm'"),
        ),
        ({"status": {"promoted": "gone"}}, ("status.promoted", "no arm 'gone'", "there is: base, new")),
        ({"experiment": {**EXPERIMENT, "arms": [ARMS[0], {**ARMS[1], "weight": 20}]}}, ("add up to 100",)),
        (
            {"experiment": {**EXPERIMENT, "arms": [{**ARMS[0], "weight": 50}] * 2}},
            ("exactly one arm must have the role Control",),
        ),
        (
            {"experiment": {**EXPERIMENT, "guardMetrics": [{"metric": "errorrate", "max": 0.1}]}},
            ("spec.guardMetrics[0].metric", "errorRate"),
        ),
        (
            {
                "experiment": {
                    **EXPERIMENT,
                    "guardMetrics": [{"metric": "errorRate", "aggregation": "p95", "max": 0.1}],
                }
            },
            ("spec.guardMetrics[0]", "the aggregation of errorRate must be rate or mean, not p95"),
        ),
        (
            {"experiment": {**EXPERIMENT, "guardMetrics": [{"metric": "feedback", "max": 0.1}]}},
            ("spec.guardMetrics[0]", "max cannot bound feedback", "set minDelta"),
        ),
        (
            {"experiment": {**EXPERIMENT, "guardMetrics": [{"metric": "latency"}]}},
            ("spec.guardMetrics[0]", "one of max, minDelta must be set"),
        ),
        (
            {"adapter": {**ADAPTER, "modelServerRef": "nope"}},
            ("LoRAAdapter/support-r2: spec.modelServerRef",),
        ),
        ({"adapter": {**ADAPTER, "source": {}}}, ("one of huggingFace, s3",)),
        (
            {"adapter": {**ADAPTER, "source": {"s3": ADAPTER["source"]["s3"], "local": {"path": "/a"}}}},
            ("only one",),
        ),
        ({"adapter": {**ADAPTER, "placement": {"replicas": 2}}}, ("strategy is All",)),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], parts: tuple[str, ...]):
    with pytest.raises((LoadError, CompileError)) as raised:
        _compile(tmp_path, **changes)
    for part in parts:
        assert part in str(raised.value)


def _experiment(generation: int, **status: object) -> AdapterExperiment:
    found = _object("AdapterExperiment", "trial", EXPERIMENT, status=status)
    found["metadata"]["generation"] = generation
    return AdapterExperiment.model_validate(found)


def test_edit_that_takes_the_promoted_arm_away_is_no_mistake_while_the_operator_has_not_seen_it():
    adapters = {"support-r2": LoRAAdapter.model_validate(_object("LoRAAdapter", "support-r2", ADAPTER))}

    def promoted(generation: int, arm: str) -> str:
        item = _experiment(generation, promoted=arm, observedGeneration=2)
        return experiments.compiled(item, adapters).promoted

    assert (promoted(3, "gone"), promoted(2, "gone"), promoted(3, "base")) == ("", "gone", "base")
