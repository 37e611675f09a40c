"""Requests that schemathesis makes from our OpenAPI, right ones and wrong ones: no answer is a fault of ours, and each
is what the description says. In this process over light services, and once against the real processes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from support.light_gateway import light_gateway
from support.running import PROJECT, running

pytestmark = pytest.mark.filterwarnings("default")  # the tool's own are not ours to mend

#: Answers without end; `test_gateway_conformance.py` and the tests of runs read it.
ENDLESS = "/v1/runs/events"

#: A body that the schema allows may still ask for what cannot be: a filter in no language, a blank question.
NOT_HELD = [positive_data_acceptance]

#: Each document is checked on its own: a wrong one is named in a reply of 200.
CHECKED_ONE_BY_ONE = "POST /v1/knowledge/{knowledge_base}/documents"

FEW = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


DESCRIPTION = schemathesis.openapi.from_path(PROJECT / "docs" / "openapi.json").exclude(path=ENDLESS)


@dataclass(frozen=True)
class Asked:
    """A gateway that has been asked something."""

    url: str
    run_id: str


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with light_gateway(tmp_path_factory.mktemp("light")) as gateway:
        yield _asked(gateway.url)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with running(tmp_path_factory.mktemp("real") / "data") as up:
        yield _asked(up.url)


def _asked(url: str) -> Asked:
    """With a run in the background that has ended, was made of another, and of which another was made."""
    question = {"model": "default", "messages": [{"role": "user", "content": "How long does it take?"}]}
    until = time.monotonic() + 60
    with httpx.Client(base_url=url, headers={"prefer": "wait=60"}, timeout=90) as http:
        while (
            reply := http.post("/v1/runs", json=question)
        ).status_code == 503:  # what keeps them is starting
            assert time.monotonic() < until, reply.text
            time.sleep(0.2)
        first = reply.raise_for_status().json()
        second = http.post(f"/v1/runs/{first['run_id']}/fork", json={"from_step": "generate"})
        run_id = second.raise_for_status().json()["run_id"]
        http.post(f"/v1/runs/{run_id}/fork", json={"from_step": "generate"}).raise_for_status()
        run = http.get(f"/v1/runs/{run_id}").json()
    assert run["origin"]
    assert run["descendants"]
    assert run["result"]
    return Asked(url, run_id)


@DESCRIPTION.parametrize()
@FEW
def test_gateway_over_light_services(case: schemathesis.Case, light: Asked):
    _holds(case, light)


@DESCRIPTION.parametrize()
@settings(FEW, max_examples=4, phases=[Phase.generate])
def test_real_processes(case: schemathesis.Case, real: Asked):
    _holds(case, real)


def _reach(case: schemathesis.Case, run_id: str) -> None:
    """Names what there is: a random name would only ever be told that there is nothing of it."""
    case.headers.pop("x-sluice-arm", None)
    if "knowledge_base" in case.path_parameters:
        case.path_parameters["knowledge_base"] = "default"
    if "model" in case.path_parameters:
        case.path_parameters["model"] = "default"
    if isinstance(case.body, dict) and "model" in case.body:
        case.body["model"] = "default"
    if "run_id" in case.path_parameters:
        case.path_parameters["run_id"] = run_id
    if isinstance(case.body, dict) and "run_id" in case.body:
        case.body["run_id"] = run_id
    if isinstance(case.body, dict) and "from_step" in case.body:
        case.body["from_step"] = "retrieve"


def _holds(case: schemathesis.Case, asked: Asked) -> None:
    excluded = list(NOT_HELD)
    if case.operation.label == CHECKED_ONE_BY_ONE:
        excluded.append(negative_data_rejection)
    if case.meta.generation.mode.is_positive:
        _reach(case, asked.run_id)
    case.call_and_validate(base_url=asked.url, excluded_checks=excluded)
