"""What the operator says of pods and adapters, in the snapshot."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_api.compiling import compile_objects
from sluice_api.errors import CompileError
from sluice_api.loading import load
from sluice_api.objects.lora_adapter import Selectors
from sluice_api.snapshot import CompiledAdapter, Endpoint, Snapshot

ADAPTER = {
    "modelServerRef": "pods",
    "modelName": "support",
    "revision": "r2",
    "source": {"local": {"path": "/adapters/support"}},
    "selectors": {"locale": "fr-CA"},
}


def _compiled(folder: Path, status: object, adapter_status: object = None) -> Snapshot:
    objects: list[dict[str, Any]] = [
        {"kind": "ModelServer", "metadata": {"name": "pods"}, "status": status}
        | {"spec": {"baseModel": "qwen", "vllm": {"image": "vllm/vllm-openai:v0.32.0"}}},
        {
            "kind": "LoRAAdapter",
            "metadata": {"name": "support"},
            "spec": ADAPTER,
            "status": adapter_status or {},
        },
    ]
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all({"apiVersion": "sluice.dev/v1alpha1", **each} for each in objects))
    return compile_objects(load([file])).snapshot


def test_pods_are_in_the_snapshot_in_the_order_of_their_names(tmp_path: Path) -> None:
    told = [
        {"name": "pods-1", "url": "http://10.0.0.2:8000/v1", "adapters": ["support-r2"]},
        {"name": "pods-0", "url": "http://10.0.0.1:8000/v1", "draining": True},
    ]
    snapshot = _compiled(tmp_path, {"endpoints": told})
    assert snapshot.endpoints == {
        "pods": (
            Endpoint(name="pods-0", url="http://10.0.0.1:8000/v1", draining=True),
            Endpoint(name="pods-1", url="http://10.0.0.2:8000/v1", adapters=("support-r2",)),
        )
    }
    assert Snapshot.parse(snapshot.content, snapshot.digest) == snapshot


def test_a_server_without_pods_has_no_endpoints(tmp_path: Path) -> None:
    assert _compiled(tmp_path, {}).endpoints == {}


def test_what_is_no_endpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as error:
        _compiled(tmp_path, {"endpoints": [{"name": "pods-0", "url": "10.0.0.1"}]})
    assert [problem.field for problem in error.value.problems] == ["status.endpoints[0].url"]


@pytest.mark.parametrize(
    ("status", "engine_name", "resting"),
    [
        ({}, "support", False),
        ({"engineName": "support-r2"}, "support-r2", False),
        ({"conditions": [{"type": "Ready", "status": "False"}]}, "support", True),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, "support", False),
    ],
)
def test_adapters_are_in_the_snapshot_as_the_operator_left_them(
    tmp_path: Path, status: object, engine_name: str, resting: bool
) -> None:
    assert _compiled(tmp_path, {}, status).adapters == {
        "support": CompiledAdapter(
            model_server="pods",
            model_name="support",
            engine_name=engine_name,
            revision="r2",
            selectors=Selectors(locale="fr-CA"),
            resting=resting,
        )
    }
