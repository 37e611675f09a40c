"""What the processes run by: objects that change, API keys, traces."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from support import handbook
from support.running import QUICKSTART, Running, running, sluice, until

pytestmark = pytest.mark.processes

READER, WRITER = "reader-key-0123456789", "writer-key-0123456789"


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """The quickstart's objects, free to change."""
    folder = tmp_path / "objects"
    folder.mkdir()
    for source in QUICKSTART.glob("*.yaml"):
        (folder / source.name).write_text(source.read_text())
    return folder


def _models(up: Running) -> list[str]:
    return [model.id for model in up.openai().models.list()]


def test_changed_objects_are_in_force_without_a_restart(tmp_path: Path, objects: Path):
    with running(tmp_path / "data", "-f", str(objects)) as up:
        pids = [process["pid"] for process in up.record["processes"]]
        second = (objects / "pipeline.yaml").read_text().replace("name: default", "name: second", 1)
        (objects / "second.yaml").write_text(second)
        until(lambda: _models(up) == ["default", "second"], 20, "the second pipeline is there")

        (objects / "second.yaml").write_text(second.replace("topK: 5,", "topK: many,"))
        digest = up.record["snapshot_digest"]
        until(lambda: sluice("compile", "-f", objects).returncode != 0, 20, "the objects are wrong")
        assert _models(up) == ["default", "second"]
        assert up.record["snapshot_digest"] == digest

        (objects / "second.yaml").unlink()
        until(lambda: _models(up) == ["default"], 20, "the second pipeline is gone")
        assert [process["pid"] for process in up.record["processes"]] == pids
        printed = up.stop()
    assert "the changed objects cannot be used" in printed
    assert "second.yaml" in printed


def test_snapshot_that_a_service_refuses_is_reported_and_the_old_one_stays(tmp_path: Path, objects: Path):
    with running(tmp_path / "data", "-f", str(objects)) as up:
        base = objects / "knowledge-base.yaml"
        text = base.read_text().rstrip()
        hosted = "\n  deployment:\n    selfHosted: { url: 'http://127.0.0.1:6333', apiKeySecret: nowhere }\n"
        base.write_text(text + hosted)
        assert sluice("compile", "-f", objects).returncode == 0

        def refused() -> bool:
            status = json.loads(sluice("status", "--data", up.data, "--json").stdout)
            return status["snapshots"]["retriever"] != status["snapshot_digest"]

        until(refused, 20, "the retriever refuses the snapshot")
        up.ingest(handbook.documents()[:1])


def test_api_keys_map_to_tenant_and_roles(tmp_path: Path):
    keys = tmp_path / "keys.yaml"
    keys.write_text(
        f"keys:\n- {{key: {READER}, tenant: acme, roles: [reader]}}\n"
        f"- {{key: {WRITER}, tenant: acme, roles: [writer]}}\n"
    )
    with running(tmp_path / "data", "--api-keys", str(keys)) as up:
        with up.http() as http:
            body = {"documents": [{"id": "a", "text": "The Inagh crane lifts 12 tonnes."}]}
            path = "/v1/knowledge/default/documents"
            assert http.post(path, json=body).status_code == 401
            bearer = {key: {"authorization": f"Bearer {key}"} for key in (READER, WRITER, "wrong" * 5)}
            assert http.post(path, json=body, headers=bearer["wrong" * 5]).status_code == 401
            assert http.post(path, json=body, headers=bearer[READER]).status_code == 403
            assert http.post(path, json=body, headers=bearer[WRITER]).status_code == 200
            search = {"query": "How much does the Inagh crane lift?"}
            hits = http.post("/v1/search", json=search, headers=bearer[READER]).json()["hits"]
            assert [hit["document_id"] for hit in hits] == ["a"]
            spoofed = {**bearer[READER], "x-sluice-tenant": "other"}
            refused = http.post("/v1/search", json=search, headers=spoofed)
            assert refused.status_code == 403 or refused.json()["hits"] == hits
        ask = ("ask", "How much does the Inagh crane lift?", "--url", up.url)
        assert sluice(*ask).returncode == 1
        assert "--api-key" in sluice(*ask).stderr
        assert "12 tonnes" in sluice(*ask, "--api-key", READER).stdout
    assert READER not in "".join(log.read_text() for log in (tmp_path / "data" / "logs").glob("*.log"))


def test_open_gateway_listens_on_loopback_only(tmp_path: Path):
    done = sluice("up", "-f", QUICKSTART, "--data", tmp_path / "data", "--listen", "0.0.0.0:0")
    assert done.returncode == 2
    assert "without API keys the gateway listens on loopback only" in done.stderr


def test_one_trace_spans_all_services(tmp_path: Path):
    traces = tmp_path / "traces.jsonl"
    with running(tmp_path / "data", "--traces", f"file:{traces}") as up:
        up.ingest(handbook.documents())
        done = sluice("ask", handbook.questions()[0].text, "--url", up.url, "--json")
        run_id = json.loads(done.stdout)["run_id"]
    spans = [json.loads(line) for line in traces.read_text().splitlines()]
    run = next(span for span in spans if span["attributes"].get("sluice.run.id") == run_id)
    trace = [span for span in spans if span["context"]["trace_id"] == run["context"]["trace_id"]]
    services = defaultdict(set)
    for span in trace:
        services[span["resource"]["attributes"]["service.name"]].add(span["name"])
    names = ("gateway", "guardrail", "retriever", "reranker", "inference")
    assert set(services) == {f"sluice-{name}" for name in names}
    steps = {span["attributes"]["sluice.step.name"] for span in trace if span["name"] == "sluice.step"}
    assert steps == {"guard_input", "retrieve", "rerank", "guard_passages", "generate", "guard_output"}
    known = {span["context"]["span_id"] for span in trace}
    roots = [span for span in trace if span["parent_id"] not in known]
    assert [span["name"] for span in roots] == ["POST /v1/chat/completions"]
    assert handbook.questions()[0].text not in traces.read_text()
