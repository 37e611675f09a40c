"""Cached answers on the real services: given again as long as they are true, and not a moment longer."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from support import handbook
from support.cached_answers import Tenant, caching_objects
from support.handbook import Question
from support.running import Running, running, sluice

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The quickstart with a cache; each test is a tenant of its own."""
    folder = tmp_path_factory.mktemp("cached")
    with running(folder / "data", "-f", str(caching_objects(folder))) as up:
        yield up


@pytest.fixture
def tenant(up: Running, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    tenant = Tenant(up, request.node.name.replace("_", "-")[:64])
    tenant.ingest(handbook.documents()[0])
    yield tenant
    tenant.http.close()


@pytest.fixture
def question() -> Question:
    return handbook.questions()[0]


def test_hit_skips_all_but_the_input_gate_and_says_so(tenant: Tenant, question: Question) -> None:
    first, answer = tenant.ask(question.text)
    second, again = tenant.ask(question.text)
    semantic, reworded = tenant.ask(f"Please tell me, {question.text[0].lower()}{question.text[1:]}")
    assert (first, second, semantic) == ("miss", "hit", "semantic")
    assert again["choices"] == reworded["choices"] == answer["choices"]
    assert question.expected in again["choices"][0]["message"]["content"]
    run = tenant.run(again)
    assert {step["name"]: step["decision"] for step in run["steps"]} == {
        "cache": "hit",
        "guard_input": "allow",
    }
    detail = next(step["detail"] for step in run["steps"] if step["name"] == "cache")
    assert (detail["kind"], detail["run_id"]) == ("exact", answer["sluice"]["run_id"])
    shown = sluice("runs", "show", again["sluice"]["run_id"], "--url", tenant.up.url, "--tenant", tenant.name)
    assert "cache" in shown.stdout, shown
    assert answer["sluice"]["run_id"] in shown.stdout


def test_written_changed_and_deleted_documents_miss(tenant: Tenant, question: Question) -> None:
    assert [tenant.ask(question.text)[0] for _ in range(2)] == ["miss", "hit"]
    document = handbook.documents()[0]
    tenant.ingest({**document, "text": document["text"].replace("40 hours", "55 hours")})
    word, answer = tenant.ask(question.text)
    assert word == "miss"
    assert "55 hours" in answer["choices"][0]["message"]["content"]
    tenant.ingest(handbook.documents()[1])
    assert [tenant.ask(question.text)[0] for _ in range(2)] == ["miss", "hit"]
    tenant.delete(document["id"])
    word, answer = tenant.ask(question.text)
    assert word == "miss"
    assert "55 hours" not in answer["choices"][0]["message"]["content"]


def test_tenants_share_nothing(up: Running, tenant: Tenant, question: Question) -> None:
    assert tenant.ask(question.text)[0] == "miss"
    other = Tenant(up, "another-tenant")
    word, answer = other.ask(question.text)
    other.http.close()
    assert word == "miss"
    assert question.expected not in answer["choices"][0]["message"]["content"]
    assert tenant.ask(question.text)[0] == "hit"


def test_identical_requests_in_flight_share_a_run(tenant: Tenant, question: Question) -> None:
    words: list[str] = []

    def ask() -> None:
        with tenant.up.http(tenant.name) as http:
            body = {"model": "default", "messages": [{"role": "user", "content": question.text}]}
            response = http.post("/v1/chat/completions", json=body).raise_for_status()
            words.append(response.headers["x-sluice-cache"])

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words.count("miss") == 1
    assert set(words) <= {"miss", "coalesced", "hit"}


def test_metrics_count_what_the_cache_gave(up: Running, tenant: Tenant, question: Question) -> None:
    for _ in range(2):
        tenant.ask(question.text)
    text = httpx.get(f"{up.url}/metrics").text
    assert 'sluice_gateway_cache_lookups_total{decision="hit",kind="exact",pipeline="default"}' in text
