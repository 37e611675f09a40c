"""Whether a real vLLM still answers as it was recorded to: what the double is held to stays true."""

import pytest

from support import vllm_recordings
from support.real_vllm import START_SECONDS, RealVllm

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.timeout(START_SECONDS + 300)]

#: Recorded from servers with a parser of reasoning, and with other libraries for grammars.
_OF_ANOTHER_SERVER = ("reasoning", "json schema that is none")


def _set_up(vllm: RealVllm, recording: str) -> None:
    vllm.unload("a1", "a2", "shape")
    if recording == "lora":
        for name in ("a1", "a2"):
            vllm.load(name, vllm.adapters / name)


@pytest.mark.parametrize("recording", ["lora", "serving", "chat"])
def test_answers_as_recorded(vllm: RealVllm, recording: str):
    _set_up(vllm, recording)
    differing = []
    with vllm.http() as http:
        for case in vllm_recordings.recorded(recording):
            if case.path == "/metrics" or any(each in case.name for each in _OF_ANOTHER_SERVER):
                continue
            got = vllm_recordings.ask(http, case, vllm.adapters)
            if found := vllm_recordings.difference(case.answer, got, may_merge=True):
                differing.append((case.name, *found))
    vllm.unload("a1", "a2", "shape")
    assert differing == []


def test_metrics_are_those_recorded(vllm: RealVllm):
    vllm.unload("m1")
    vllm.load("m1", vllm.adapters / "a1")
    with vllm.http() as http:
        for model in ("tiny", "m1"):
            body = {"model": model, "prompt": "the quick", "max_tokens": 2}
            http.post("/v1/completions", json=body).raise_for_status()
        reply = http.get("/metrics")
    vllm.unload("m1")
    (case,) = (each for each in vllm_recordings.recorded("serving") if each.path == "/metrics")
    assert reply.headers["content-type"] == case.answer.content_type
    recorded, told = (vllm_recordings.families(text) for text in (case.answer.body, reply.text))
    without_buckets = {name: labels for name, labels in told.items() if not name.endswith("_bucket")}
    assert {name: labels for name, labels in recorded.items() if without_buckets.get(name) != labels} == {}


def test_wrong_shapes_are_taken_and_answer(vllm: RealVllm):
    vllm.load("wrong", vllm.adapters / "bad" / "shape")
    with vllm.http() as http:
        reply = http.post("/v1/completions", json={"model": "wrong", "prompt": "the quick", "max_tokens": 2})
    vllm.unload("wrong")
    assert reply.status_code == 200
