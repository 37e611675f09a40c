"""Cached answers over the death of a retriever, the end of a document, another policy and a permission that is gone."""

from pathlib import Path

import httpx
import pytest

from support import handbook
from support.cached_answers import Tenant, caching_objects
from support.handbook import Question
from support.running import running, until

pytestmark = pytest.mark.processes

READER = "reader-key-0123456789"


@pytest.fixture
def question() -> Question:
    return handbook.questions()[0]


def test_expired_document_and_killed_retriever(tmp_path: Path, question: Question) -> None:
    with running(tmp_path / "data", "-f", str(caching_objects(tmp_path))) as up:
        tenant = Tenant(up, "acme")
        tenant.ingest(handbook.documents()[0])
        assert tenant.ask(question.text)[0] == "miss"
        up.kill("retriever")
        until(lambda: up.serves("retriever"), 30, "the retriever is back")
        until(lambda: tenant.ask(question.text)[0] == "hit", 20, "the answer is still good")
        tenant.ingest({**handbook.documents()[0], "ttl": "3s"})
        word, answer = tenant.ask(question.text)
        assert word == "miss"
        assert question.expected in answer["choices"][0]["message"]["content"]

        def gone() -> bool:
            _, answer = tenant.ask(question.text)
            return question.expected not in answer["choices"][0]["message"]["content"]

        until(gone, 20, "the answer has gone with its document")
        tenant.http.close()


def test_revoked_permission_and_changed_policy_miss(tmp_path: Path, question: Question) -> None:
    objects = caching_objects(tmp_path)
    keys = tmp_path / "keys.yaml"

    def allow(acl: str) -> None:
        entry = f"{{key: {READER}, tenant: acme, roles: [admin], subject: ann, acl: [{acl}]}}"
        keys.write_text(f"keys:\n- {entry}\n")
        keys.chmod(0o600)

    allow("staff")
    options = ("-f", str(objects), "--api-keys", str(keys))
    with (
        running(tmp_path / "data", *options) as up,
        httpx.Client(
            base_url=up.url, headers={"authorization": f"Bearer {READER}"}, timeout=30.0, verify=False
        ) as http,
    ):

        def ask() -> tuple[str, str]:
            body = {"model": "default", "messages": [{"role": "user", "content": question.text}]}
            response = http.post("/v1/chat/completions", json=body).raise_for_status()
            return response.headers["x-sluice-cache"], response.json()["choices"][0]["message"]["content"]

        document = {**handbook.documents()[0], "acl": ["staff"]}
        http.post("/v1/knowledge/default/documents", json={"documents": [document]}).raise_for_status()
        assert [ask()[0] for _ in range(2)] == ["miss", "hit"]
        policy = objects / "guardrail-policy.yaml"
        policy.write_text(
            policy.read_text().replace("groundedness: { action: flag", "groundedness: { action: block")
        )
        until(lambda: ask()[0] == "miss", 20, "the changed policy is in force")
        assert ask()[0] == "hit"
        allow("guests")
        until(lambda: question.expected not in ask()[1], 20, "the permission is revoked")
        assert ask()[0] == "hit"  # what a guest is told, that is


def test_request_with_a_key_runs_once_though_the_gateway_is_killed(
    tmp_path: Path, question: Question
) -> None:
    with running(tmp_path / "data", "-f", str(caching_objects(tmp_path))) as up, up.http() as http:
        up.ingest(handbook.documents()[:1])
        body = {"model": "default", "messages": [{"role": "user", "content": question.text}]}

        def send() -> httpx.Response:
            return http.post("/v1/chat/completions", json=body, headers={"idempotency-key": "k"})

        first = send().raise_for_status()
        assert send().content == first.content
        up.kill("gateway")
        until(lambda: up.serves("gateway"), 30, "the gateway is back")
        again = send()
        assert again.headers["x-sluice-run-id"] == first.headers["x-sluice-run-id"]
        assert again.content == first.content
        assert again.headers["idempotency-replayed"] == "true"
        assert len(up.runs()) == 1
