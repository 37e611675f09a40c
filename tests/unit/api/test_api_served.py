"""What of a model server is in the snapshot."""

from pathlib import Path
from typing import Any

import yaml

from sluice_api.compiling import compile_objects
from sluice_api.loading import load
from sluice_api.snapshot import Snapshot


def _compiled(folder: Path, **vllm: Any) -> Snapshot:
    objects: list[dict[str, Any]] = [
        {
            "kind": "ModelServer",
            "metadata": {"name": "pods"},
            "spec": {"baseModel": "qwen", "vllm": {"image": "vllm/vllm-openai:v0.32.0", **vllm}},
        },
        {"kind": "KnowledgeBase", "metadata": {"name": "base"}, "spec": {}},
        {"kind": "GuardrailPolicy", "metadata": {"name": "policy"}, "spec": {}},
        {
            "kind": "Pipeline",
            "metadata": {"name": "default"},
            "spec": {
                "knowledgeBaseRef": "base",
                "guardrailPolicyRef": "policy",
                "steps": {"generate": {"modelServerRef": "pods"}},
            },
        },
    ]
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all({"apiVersion": "sluice.dev/v1alpha1", **each} for each in objects))
    return compile_objects(load([file])).snapshot


def test_scaling_a_server_changes_nothing_for_services(tmp_path: Path) -> None:
    before = _compiled(tmp_path)
    more = _compiled(
        tmp_path,
        replicas=7,
        resources={"limits": {"memory": "80Gi"}},
        env=[{"name": "HF_TOKEN", "value": "not for services"}],
        podTemplate={"spec": {"nodeSelector": {"gpu": "a100"}}},
        startupTimeout="1h",
    )
    assert more.digest == before.digest
    assert b"not for services" not in more.content


def test_what_answers_depend_on_changes_pipelines(tmp_path: Path) -> None:
    before = _compiled(tmp_path).pipelines["default"].version
    for change in ({"image": "vllm:2"}, {"args": ["--dtype=half"]}, {"maxModelLen": 1024}, {"lora": {}}):
        assert _compiled(tmp_path, **change).pipelines["default"].version != before


def test_inference_is_told_of_the_key_and_the_slots(tmp_path: Path) -> None:
    vllm = _compiled(tmp_path, apiKeySecret="key", lora={"maxLoras": 2}).model_servers["pods"].vllm
    assert vllm is not None
    assert vllm.lora is not None
    assert (vllm.api_key_secret, vllm.lora.max_loras) == ("key", 2)
