"""Objects: read, checked, compiled; what is wrong is named by file, object and field."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from sluice_api.compiling import Compilation, compile_objects
from sluice_api.errors import CompileError, LoadError
from sluice_api.loading import load
from sluice_api.objects.registry import KINDS
from sluice_api.snapshot import Snapshot

PROJECT = Path(__file__).parents[3]
IN_A_CLUSTER = PROJECT / "examples" / "cluster"
EXAMPLES = sorted(
    folder for folder in (PROJECT / "examples").iterdir() if folder.is_dir() and folder != IN_A_CLUSTER
)

BASE = {
    "KnowledgeBase": {},
    "GuardrailPolicy": {},
    "ModelServer": {"extractive": {}},
    "Pipeline": {
        "knowledgeBaseRef": "default",
        "guardrailPolicyRef": "default",
        "steps": {"generate": {"modelServerRef": "default"}},
    },
}


def _object(kind: str, spec: object, name: str = "default", **metadata: object) -> dict[str, object]:
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


def _write(folder: Path, *objects: object, name: str = "objects.yaml") -> Path:
    (folder / name).write_text(yaml.safe_dump_all(objects))
    return folder


def _compile(folder: Path) -> Compilation:
    return compile_objects(load([folder]))


def _all(**changes: object) -> list[dict[str, object]]:
    return [_object(kind, changes.get(kind, spec)) for kind, spec in BASE.items()]


def _problem(folder: Path) -> str:
    with pytest.raises((LoadError, CompileError)) as raised:
        _compile(folder)
    return str(raised.value)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_examples_compile_without_a_warning(folder: Path):
    compilation = _compile(folder)
    assert compilation.snapshot.pipelines
    assert compilation.warnings == ()


def test_of_the_cluster_example_only_what_the_operator_does_has_no_effect():
    compilation = _compile(IN_A_CLUSTER)
    assert compilation.warnings
    assert all("without a cluster" in str(warning) for warning in compilation.warnings)


def test_snapshot_does_not_depend_on_order_or_files(tmp_path: Path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir()
    _write(one, *_all())
    for index, item in enumerate(reversed(_all())):
        _write(other, item, name=f"{index}.yaml")
    assert _compile(one).snapshot.digest == _compile(other).snapshot.digest


def test_snapshot_survives_the_wire(tmp_path: Path):
    snapshot = _compile(_write(tmp_path, *_all())).snapshot
    assert Snapshot.parse(snapshot.content, snapshot.digest) == snapshot
    with pytest.raises(ValueError, match="digest"):
        Snapshot.parse(snapshot.content + b" ", snapshot.digest)


def test_versions_follow_what_they_are_made_of(tmp_path: Path):
    before = _compile(_write(tmp_path, *_all())).snapshot
    after = _compile(_write(tmp_path, *_all(GuardrailPolicy={"streaming": "window"}))).snapshot
    assert before.guardrail_policies["default"].version != after.guardrail_policies["default"].version
    assert before.pipelines["default"].version != after.pipelines["default"].version


def test_version_of_a_pipeline_follows_the_server_that_rewrites(tmp_path: Path):
    def version(model: str) -> str:
        server = {"baseModel": model, "external": {"urls": ["http://x/v1"]}}
        objects = [*_all(Pipeline=_rewriting("other")), _object("ModelServer", server, name="other")]
        return _compile(_write(tmp_path, *objects)).snapshot.pipelines["default"].version

    assert version("one") != version("other")


PIPELINE = BASE["Pipeline"]
STEPS = PIPELINE["steps"]


def _rewriting(server: str) -> dict[str, object]:
    return {**PIPELINE, "steps": {**STEPS, "rewrite": {"modelServerRef": server}}}


BOMB = "\n".join(
    [
        "a: &a [x,x,x,x,x,x,x,x]",
        *(f"{name}: &{name} [{','.join([f'*{before}'] * 8)}]" for before, name in pairwise("abcdefgh")),
    ]
)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            {"Pipeline": {**PIPELINE, "knowledgeBaseRef": "nope"}},
            ("spec.knowledgeBaseRef", "'nope'", "there is: default"),
        ),
        ({"Pipeline": {**PIPELINE, "timeout": "5 seconds"}}, ("spec.timeout", "is not a duration such as")),
        ({"Pipeline": {**PIPELINE, "timeOut": "5s"}}, ("spec.timeOut", "did you mean timeout?")),
        ({"Pipeline": {**PIPELINE, "steps": {}}}, ("spec.steps.generate", "required")),
        (
            {"Pipeline": {**PIPELINE, "steps": {**STEPS, "guardInput": {"onFail": "degrade"}}}},
            ("spec.steps.guardInput.onFail", "must be abort"),
        ),
        (
            {"GuardrailPolicy": {"input": {"promptInjection": {"threshold": 2}}}},
            ("spec.input.promptInjection.threshold",),
        ),
        (
            {"GuardrailPolicy": {"input": {"pii": {"entities": ["passport"]}}}},
            ("spec.input.pii.entities", "email"),
        ),
        (
            {"GuardrailPolicy": {"output": {"pii": {"allow": ["x.example"] * 257}}}},
            ("spec.output.pii.allow", "256"),
        ),
        ({"ModelServer": {}}, ("ModelServer/default", "extractive")),
        (
            {"ModelServer": {"extractive": {}, "external": {"urls": ["http://x/v1"]}}},
            ("ModelServer/default", "external"),
        ),
        ({"ModelServer": {"external": {"urls": ["http://x/v1"]}}}, ("baseModel",)),
        ({"KnowledgeBase": {"chunking": {"maxTokens": 4}}}, ("spec.chunking.maxTokens",)),
        (
            {"Pipeline": _rewriting("nope")},
            ("spec.steps.rewrite.modelServerRef", "no ModelServer 'nope'", "there is: default"),
        ),
        (
            {"Pipeline": _rewriting("default")},
            ("spec.steps.rewrite.modelServerRef", "'default' is extractive"),
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, object], parts: tuple[str, ...]):
    problem = _problem(_write(tmp_path, *_all(**change)))
    assert "objects.yaml:" in problem
    for part in parts:
        assert part in problem


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (":\n  - [", "not YAML"),
        ("just words", "not an object"),
        ("kind: Pipeline", "apiVersion"),
        (
            "apiVersion: sluice.dev/v1alpha1\nkind: Pipelines\nmetadata: {name: a}\nspec: {}",
            "did you mean Pipeline?",
        ),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}", "must be 'sluice.dev/v1alpha1'"),
        (
            "apiVersion: sluice.dev/v1alpha1\nkind: KnowledgeBase\nmetadata: {name: A_B}\nspec: {}",
            "metadata.name",
        ),
        (BOMB, "unfold"),
    ],
)
def test_file_that_holds_no_object(tmp_path: Path, text: str, part: str):
    (tmp_path / "bad.yaml").write_text(text)
    problem = _problem(tmp_path)
    assert "bad.yaml" in problem
    assert part in problem


def test_all_problems_are_shown_at_once(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("just words")
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    problem = _problem(tmp_path)
    assert "a.yaml" in problem
    assert "b.yaml" in problem


def test_nothing_there(tmp_path: Path):
    assert "holds no .yaml" in _problem(tmp_path)
    assert "no such file" in _problem(tmp_path / "nowhere")


def test_same_object_twice(tmp_path: Path):
    assert "stands in" in _problem(_write(tmp_path, *_all(), _object("KnowledgeBase", {})))


def test_same_name_in_two_namespaces_clashes(tmp_path: Path):
    other = _object("KnowledgeBase", {}, namespace="other")
    assert "namespace" in _problem(_write(tmp_path, *_all(), other))


SHARD = {"knowledgeBaseRef": "default", "tenantId": "acme"}


def test_kinds_for_a_cluster_only_are_pointed_out(tmp_path: Path):
    pods = {"baseModel": "qwen", "vllm": {"image": "vllm/vllm-openai:v0.32.0"}}
    more = [_object("ModelServer", pods, "pods"), _object("TenantShard", SHARD, "acme")]
    warnings = _compile(_write(tmp_path, *_all(), *more)).warnings
    assert [warning.object for warning in warnings] == ["ModelServer/pods", "TenantShard/acme"]
    assert all("without a cluster" in warning.message for warning in warnings)


@pytest.mark.parametrize(
    ("kind", "spec", "part"),
    [
        ("TenantShard", {**SHARD, "tenantId": "a b"}, "spec.tenantId"),
        (
            "TenantShard",
            {**SHARD, "thresholds": {"promoteAbovePoints": 9, "demoteBelowPoints": 9}},
            "at most half",
        ),
    ],
)
def test_rules_of_the_clusters_kinds(tmp_path: Path, kind: str, spec: dict[str, object], part: str):
    assert part in _problem(_write(tmp_path, *_all(), _object(kind, spec, "it")))


def test_there_are_seven_kinds():
    assert set(KINDS) == {
        "AdapterExperiment",
        "GuardrailPolicy",
        "KnowledgeBase",
        "LoRAAdapter",
        "ModelServer",
        "Pipeline",
        "TenantShard",
    }


def test_pipeline_that_keeps_nothing_promotes_nothing(tmp_path: Path):
    pipeline = {**BASE["Pipeline"], "promote": True, "payloads": "none"}
    assert "promote needs payloads" in _problem(_write(tmp_path, *_all(Pipeline=pipeline)))
