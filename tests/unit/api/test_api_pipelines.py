"""Pipelines: what may be said of steps, and what is refused with a reason."""

from pathlib import Path

import pytest
import yaml

from sluice_api.compiling import Compilation, compile_objects
from sluice_api.errors import CompileError, LoadError
from sluice_api.loading import load
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.steps import Steps

GENERATE = {"modelServerRef": "default"}
SMALL = {"modelServerRef": "small"}


def _compiled(folder: Path, steps: dict[str, object], **servers: object) -> Compilation:
    specs = {
        "KnowledgeBase": {"default": {}},
        "GuardrailPolicy": {"default": {}},
        "ModelServer": {"default": {"extractive": {}}, **servers},
        "Pipeline": {
            "default": {
                "knowledgeBaseRef": "default",
                "guardrailPolicyRef": "default",
                "steps": {"generate": GENERATE, **steps},
            }
        },
    }
    objects = [
        {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        for kind, named in specs.items()
        for name, spec in named.items()
    ]
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    return compile_objects(load([folder]))


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (
            {"guardInput": {"onFail": "degrade"}},
            ("guardInput.onFail", "must be abort", "no gate has screened"),
        ),
        ({"guardOutput": {"onFail": "catch:generate"}}, ("guardOutput.onFail", "must be abort")),
        ({"retrieve": {"onFail": "degrade"}}, ("retrieve.onFail", "catch:generate answers without")),
        ({"rerank": {"onFail": "catch:generate"}}, ("rerank.onFail", "abort or degrade", "pass by a gate")),
        (
            {"rewrite": {"modelServerRef": "small", "onFail": "catch:retrieve"}},
            ("rewrite.onFail", "degrade goes on at retrieve"),
        ),
        ({"generate": {**GENERATE, "onFail": "degrade"}}, ("generate.onFail", "only a fallback")),
        ({"generate": {**GENERATE, "onFail": "catch:"}}, ("generate.onFail", "catch:NAME")),
        ({"generate": {**GENERATE, "onFail": "catch:nope"}}, ("spec.steps", "'nope'", "there is: none")),
        ({"fallbacks": {"small": SMALL}}, ("spec.steps", "fallbacks.small is never used")),
        (
            {
                "generate": {**GENERATE, "onFail": "catch:one"},
                "fallbacks": {
                    "one": {**SMALL, "onFail": "catch:two"},
                    "two": {**SMALL, "onFail": "catch:one"},
                },
            },
            ("spec.steps", "fallbacks.two.onFail leads back", "'one'"),
        ),
        ({"generate": {**GENERATE, "hedgeAfter": "50ms"}}, ("generate.hedgeAfter", "no such field")),
        ({"guardInput": {"hedgeAfter": "50ms"}}, ("guardInput.hedgeAfter", "no such field")),
        ({"retrieve": {"hedgeAfter": "0ms"}}, ("retrieve.hedgeAfter", "greater than 0")),
        (
            {"generate": {**GENERATE, "onFail": "catch:x"}, "fallbacks": {"x": {**SMALL, "sources": False}}},
            ("fallbacks.x.sources", "no such field"),
        ),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_why(
    tmp_path: Path, steps: dict[str, object], told: tuple[str, ...]
):
    with pytest.raises(LoadError) as raised:
        _compiled(tmp_path, steps, small={"extractive": {}})
    for text in told:
        assert text in str(raised.value)


CATCHING = {"generate": {**GENERATE, "onFail": "catch:small"}, "fallbacks": {"small": SMALL}}


def test_server_of_a_fallback_must_exist(tmp_path: Path):
    with pytest.raises(CompileError) as raised:
        _compiled(tmp_path, CATCHING)
    assert "spec.steps.fallbacks.small.modelServerRef" in str(raised.value)
    assert "there is no ModelServer 'small'; there is: default" in str(raised.value)


def test_version_of_a_pipeline_follows_the_server_of_its_fallback(tmp_path: Path):
    versions = set()
    for sentences in (2, 3):
        server = {"extractive": {"maxSentences": sentences}}
        versions.add(_compiled(tmp_path, CATCHING, small=server).snapshot.pipelines["default"].version)
    assert len(versions) == 2


def test_canary_is_there_where_any_model_that_may_write_has_a_prompt(tmp_path: Path):
    model = {"baseModel": "m", "external": {"urls": ["http://models/v1"]}}
    for server, has in (({"extractive": {}}, False), (model, True)):
        snapshot = _compiled(tmp_path, CATCHING, small=server).snapshot
        assert snapshot.has_canary(snapshot.pipelines["default"].spec, "acme") is has


def test_fallbacks_are_tried_in_the_order_of_the_catches():
    steps = Steps.model_validate(
        {
            "generate": {**GENERATE, "onFail": "catch:b"},
            "fallbacks": {"a": SMALL, "b": {**SMALL, "onFail": "catch:a"}},
        }
    )
    assert [name for name, _ in steps.chain()] == ["b", "a"]


@pytest.mark.parametrize(
    ("ranker", "told"),
    [
        (
            {"embedded": {}, "lateInteraction": {}},
            "only one of embedded, crossEncoder, sentenceTransformers, endpoint, lateInteraction may be set, "
            "not embedded and lateInteraction",
        ),
        ({"crossEncoder": {}}, "steps.rerank.ranker.crossEncoder.path"),
        ({"crossEncoder": {"path": "/m", "precision": "int4"}}, "'int8' or 'float32'"),
        ({"endpoint": {"url": "host:80"}}, "steps.rerank.ranker.endpoint.url"),
        (
            {"endpoint": {"url": "http://h/v1", "protocol": "cohere"}},
            "model must be set where protocol is cohere",
        ),
        ({"blend": 0.2}, "blend mixes the embedded ranker into another one"),
        ({"lateInteraction": {}, "candidates": 0}, "steps.rerank.ranker.candidates"),
    ],
)
def test_rankers_that_cannot_be(tmp_path: Path, ranker: dict[str, object], told: str):
    with pytest.raises(LoadError) as raised:
        _compiled(tmp_path, {"rerank": {"ranker": ranker}})
    assert told in str(raised.value)


def test_the_ranker_is_embedded_where_nothing_is_said(tmp_path: Path):
    def spec(rerank: dict[str, object]) -> PipelineSpec:
        return _compiled(tmp_path, {"rerank": rerank}).snapshot.pipelines["default"].spec

    assert spec({}).steps.rerank.ranker.is_embedded
    assert spec({"ranker": {"embedded": {}}}).steps.rerank.ranker.is_embedded
    other = spec({"ranker": {"lateInteraction": {}, "blend": 0.2, "candidates": 20}}).steps.rerank.ranker
    assert (other.is_embedded, other.blend, other.candidates) == (False, 0.2, 20)
