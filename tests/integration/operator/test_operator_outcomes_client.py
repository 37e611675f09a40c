"""The operator's client of the gateway's statistics, on a real gateway and on what is none."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from sluice_api.compiling import compile_objects
from sluice_api.loading import load
from sluice_api.snapshot import Snapshot
from sluice_operator.outcomes.gateway import GatewayOutcomes
from sluice_servicekit import errors
from support import experiment_objects as objects
from support.experimenting_gateway import ExperimentingGateway, experimenting_gateway

ADMIN, READER = "admin-0123456789ab", "reader-0123456789ab"
KEYS = f"""\
keys:
  - {{key: {ADMIN}, tenant: acme, roles: [admin]}}
  - {{key: {READER}, tenant: acme, roles: [reader]}}
"""


def _snapshot(folder: Path) -> Snapshot:
    found = [
        objects.manifest("KnowledgeBase", "default", {}),
        objects.manifest("GuardrailPolicy", "default", {"streaming": "window"}),
        objects.server(),
        objects.adapter("new") | {"status": objects.looked_at("new--1")},
        objects.pipeline(),
        objects.experiment(),
    ]
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(found))
    return compile_objects(load([folder / "objects.yaml"])).snapshot


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[ExperimentingGateway]:
    (tmp_path / "keys.yaml").write_text(KEYS)
    (tmp_path / "keys.yaml").chmod(0o600)
    snapshot = _snapshot(tmp_path)
    with experimenting_gateway(tmp_path / "data", snapshot, api_keys_file=tmp_path / "keys.yaml") as made:
        yield made


def _key(folder: Path, key: str) -> Path:
    path = folder / "key"
    path.write_text(f"{key}\n")
    return path


async def test_report_is_what_the_gateway_has_counted(gateway: ExperimentingGateway, tmp_path: Path) -> None:
    gateway.models.broken.add("new--1")
    asked = await gateway.ask(60, READER)
    outcomes = GatewayOutcomes(gateway.url, _key(tmp_path, ADMIN))
    report = await outcomes.report("trial", 0.0)
    runs = {arm.name: (arm.outcomes.requests, arm.outcomes.errors.total) for arm in report.arms}
    assert asked.total() == 60
    assert runs == {"base": (asked[""], 0), "new": (asked["new--1"], asked["new--1"])}
    assert (report.method, report.alpha, report.min_samples_per_arm) == ("Sequential", 0.05, 100)
    assert [(arm.name, arm.model_name) for arm in report.arms] == [("base", ""), ("new", "new--1")]
    assert report.since is None
    later = await outcomes.report("trial", 3_999_999_600.0)
    assert later.since is not None
    assert sum(arm.outcomes.requests for arm in later.arms) == 0


async def test_what_the_gateway_refuses_is_told_apart(gateway: ExperimentingGateway, tmp_path: Path) -> None:
    async def refused(expected: type[errors.ServiceError], key: str | None, name: str = "trial") -> str:
        outcomes = GatewayOutcomes(gateway.url, None if key is None else _key(tmp_path, key))
        with pytest.raises(expected) as raised:
            await outcomes.report(name, 0.0)
        return raised.value.message

    await refused(errors.Unauthenticated, None)
    await refused(errors.Unauthenticated, "nobody-0123456789ab")
    await refused(errors.PermissionDenied, READER)
    assert "there is no experiment 'other'" in await refused(errors.NotFound, ADMIN, "other")
    assert "holds no API key" in await refused(errors.Unauthenticated, "")
    with pytest.raises(errors.Unauthenticated, match="cannot be read"):
        await GatewayOutcomes(gateway.url, tmp_path / "missing").report("trial", 0.0)
    with pytest.raises(errors.FailedPrecondition, match="404"):
        await GatewayOutcomes(f"{gateway.url}/elsewhere", _key(tmp_path, ADMIN)).report("trial", 0.0)


async def test_other_key_in_the_file_counts_at_the_next_look(
    gateway: ExperimentingGateway, tmp_path: Path
) -> None:
    outcomes = GatewayOutcomes(gateway.url, _key(tmp_path, READER))
    with pytest.raises(errors.PermissionDenied):
        await outcomes.report("trial", 0.0)
    _key(tmp_path, ADMIN)
    assert (await outcomes.report("trial", 0.0)).name == "trial"


@pytest.fixture
async def double() -> AsyncIterator[tuple[str, list[Any]]]:
    """A server that answers what stands in a list, one after the other, the last for ever."""
    answers: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        status, body, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        return web.Response(status=status, text=body, headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", answers
    await runner.cleanup()


async def test_gateway_that_is_busy_for_a_moment_is_asked_again(double: tuple[str, list[Any]]) -> None:
    url, answers = double
    known = {"error": {"message": "there is none", "code": "experiment_not_found"}}
    answers += [(503, "", {}), (502, "<html>", {"retry-after": "0"}), (404, json.dumps(known), {})]
    with pytest.raises(errors.NotFound, match="there is none"):
        await GatewayOutcomes(url).report("trial", 0.0)
    answers[:] = [(429, "", {"retry-after": "60"}), (404, json.dumps(known), {})]
    with pytest.raises(errors.ResourceExhausted):  # a minute is no moment
        await GatewayOutcomes(url).report("trial", 0.0)


async def test_answer_of_another_time_is_not_taken(
    gateway: ExperimentingGateway, double: tuple[str, list[Any]], tmp_path: Path
) -> None:
    report = await GatewayOutcomes(gateway.url, _key(tmp_path, ADMIN)).report("trial", 3600.0)
    url, answers = double
    answers.append((200, report.model_dump_json(), {}))
    assert (await GatewayOutcomes(url).report("trial", 3600.0)) == report
    with pytest.raises(errors.FailedPrecondition, match="another time"):
        await GatewayOutcomes(url).report("trial", 7200.0)


@pytest.mark.parametrize("body", ["<html>Welcome</html>", "{}", "[]", '{"name": "trial"}'])
async def test_what_answers_otherwise_than_a_gateway_is_named(
    double: tuple[str, list[Any]], body: str
) -> None:
    url, answers = double
    answers.append((200, body, {}))
    with pytest.raises(errors.FailedPrecondition, match="answers otherwise"):
        await GatewayOutcomes(url).report("trial", 0.0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1", errors.Unavailable),
        ("http://nowhere.invalid", errors.Unavailable),
        ("gateway:8080", errors.FailedPrecondition),
        ("", errors.FailedPrecondition),
    ],
)
async def test_nobody_there_is_told_from_a_url_that_is_none(
    url: str, expected: type[errors.ServiceError]
) -> None:
    with pytest.raises(expected):
        await GatewayOutcomes(url).report("trial", 0.0)


async def test_gateway_that_never_answers_is_waited_for_no_longer_than_said(
    double: tuple[str, list[Any]],
) -> None:
    url, answers = double
    answers.append((200, "{}", {}))
    with pytest.raises(errors.DeadlineExceeded, match="did not answer"):
        await GatewayOutcomes(url, seconds=1e-6).report("trial", 0.0)
