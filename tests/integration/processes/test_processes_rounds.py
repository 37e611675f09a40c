"""A run as its pipeline says: further rounds, hedges and fallbacks on the real services."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from support import handbook
from support.model_server import ModelServer, serving
from support.running import PROJECT, Running, running, sluice, until

pytestmark = pytest.mark.processes

#: What is said of the kiln pushes the lathe out of the first five passages.
NOTES = [
    {
        "id": f"notes/kiln-{number}.md",
        "text": f"Note {number}: Before batch {number} of clay bricks the firing temperature of the Belvoir kiln is "
        "checked twice at the upper door.",
    }
    for number in range(1, 13)
]
COMPOUND = (
    "How often is the firing temperature of the Belvoir kiln checked at the upper door before a batch of clay bricks "
    "and where is the Corrib lathe made?"
)

MORE = """
apiVersion: sluice.dev/v1alpha1
kind: ModelServer
metadata: {name: gone}
spec: {baseModel: gone, external: {urls: ["http://127.0.0.1:1/v1"]}}
---
apiVersion: sluice.dev/v1alpha1
kind: Pipeline
metadata: {name: once}
spec:
  knowledgeBaseRef: default
  guardrailPolicyRef: default
  steps:
    retrieve: {hedgeAfter: 1ms}
    generate: {modelServerRef: gone, retries: 0, onFail: "catch:quoting"}
    fallbacks:
      quoting: {modelServerRef: extractive}
"""


REWRITING = """
apiVersion: sluice.dev/v1alpha1
kind: ModelServer
metadata: {{name: vllm}}
spec: {{baseModel: tiny, external: {{urls: ["{url}"]}}}}
---
apiVersion: sluice.dev/v1alpha1
kind: Pipeline
metadata: {{name: rewriting}}
spec:
  knowledgeBaseRef: default
  guardrailPolicyRef: default
  rounds: {{maxRounds: 2}}
  steps:
    rewrite: {{modelServerRef: vllm}}
    generate: {{modelServerRef: extractive}}
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The example, with another pipeline of one round."""
    folder = tmp_path_factory.mktemp("rounds")
    shutil.copytree(PROJECT / "examples" / "rounds", folder / "objects")
    pipeline = folder / "objects" / "pipeline.yaml"
    patient = (
        pipeline.read_text().replace("timeout: 1s", "timeout: 20s").replace("deadline: 5s", "deadline: 40s")
    )
    pipeline.write_text(patient.replace("timeout: 20s", "timeout: 60s", 1))  # the machine may be busy
    (folder / "objects" / "more.yaml").write_text(MORE)
    with running(folder / "data", "-f", str(folder / "objects")) as up:
        up.ingest([*handbook.documents(), *NOTES])
        yield up


async def test_engine_writes_what_a_further_round_looks_for(up: Running):
    queries = "Here you are:\n- city of the Corrib lathe\n- where is the Corrib lathe made"
    async with serving(ModelServer(rewritten=queries)) as server:
        (up.data.parent / "objects" / "rewriting.yaml").write_text(REWRITING.format(url=server.url))

        def work() -> tuple[Any, dict[str, Any]]:
            until(
                lambda: "rewriting" in {m.id for m in up.openai().models.list()}, 30, "the pipeline is served"
            )
            return _ask(up, "rewriting")

        answer, run = await asyncio.to_thread(work)
    assert (run["state"], run["reason"]) == ("answered", "")
    assert "Turin" in answer.choices[0].message.content
    steps = {step["name"]: step for step in run["steps"]}
    assert steps["evidence"]["reason"] == "LOOKS_AGAIN (rewrite)"
    assert len(steps["rewrite.2"]["detail"]["query_hashes"]) == 2
    assert steps["retrieve.2"]["detail"]["how"] == "rewrite"
    [asked] = server.requests
    assert COMPOUND in asked["messages"][1]["content"]
    assert "Turin" not in json.dumps(asked)  # the engine sees the question and no passage


def _ask(up: Running, model: str) -> tuple[Any, dict[str, Any]]:
    """The answer, and its run."""
    answer = up.openai().chat.completions.create(
        model=model, messages=[{"role": "user", "content": COMPOUND}]
    )
    return answer, up.run(answer.model_extra["sluice"]["run_id"])


def test_second_round_finds_what_the_first_has_missed(up: Running):
    answer, run = _ask(up, "default")
    assert (run["state"], run["reason"]) == ("answered", "")
    steps = {step["name"]: step for step in run["steps"]}
    assert "Turin" in answer.choices[0].message.content
    assert "handbook/lathe.md" in {each["document_id"] for each in answer.sluice["citations"]}
    assert steps["evidence"]["decision"] == "thin"
    assert steps["evidence"]["reason"] == "LOOKS_AGAIN (split)"
    assert steps["retrieve.2"]["state"] == steps["rerank.2"]["state"] == "succeeded"
    assert steps["evidence.2"]["decision"] == "enough"
    assert "Corrib" not in json.dumps(run)
    shown = sluice("runs", "show", run["run_id"], "--url", up.url)
    assert shown.returncode == 0, shown.stderr
    for text in ("evidence", "retrieve.2", "LOOKS_AGAIN (split)", "thin"):
        assert text in shown.stdout
    graph = sluice("runs", "show", run["run_id"], "--graph", "--url", up.url).stdout
    assert "rerank → evidence → retrieve.2 → rerank.2 → evidence.2 → guard_passages" in graph.replace(
        "\n", " "
    )


def test_hedge_and_fallback_are_in_the_journal(up: Running):
    answer, run = _ask(up, "once")
    assert (run["state"], answer.sluice["state"]) == ("degraded", "degraded")
    assert run["reason"].startswith("generate: ")
    assert "Turin" not in answer.choices[0].message.content  # one round misses it
    steps = {step["name"]: step for step in run["steps"]}
    assert (steps["generate"]["state"], steps["generate.quoting"]["state"]) == ("failed", "succeeded")
    assert steps["retrieve"]["detail"]["hedge"]["after_ms"] == 1
    assert steps["retrieve"]["detail"]["hedge"]["won"] in ("first", "second")
