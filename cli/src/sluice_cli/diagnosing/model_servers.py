"""Group `models`, the servers that write answers: does each URL answer, with its key, and serve the model?"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx

from sluice_api.objects.model_server import ModelServerSpec
from sluice_cli.diagnosing.findings import Check, Finding, State, failed, ok, skipped, warning
from sluice_cli.diagnosing.keys import secret_file
from sluice_cli.diagnosing.subject import Subject

GROUP = "models"

#: Seconds that a model server has to list its models.
_SECONDS = 3.0


@dataclass(frozen=True)
class ServerFacts:
    """What came of asking a model server for its models."""

    server: str
    """The ModelServer's name."""
    url: str
    model: str
    """`spec.baseModel`."""
    secret: str
    """The secret that holds the key; empty without one."""
    unreachable: str = ""
    """Why there is no answer: `timeout`, `key` where the key cannot be sent, or what the connection said."""
    status: int = 0
    models: tuple[str, ...] | None = None
    """None where the answer is no list of models."""


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    if subject.snapshot is None:
        nothing = skipped("model servers", "there are no objects that compile")
        return [Check(GROUP, "model servers", lambda: [nothing])]
    return [
        Check(GROUP, f"model server {name}", partial(_look, subject, name, spec))
        for name, spec in sorted(subject.snapshot.model_servers.items())
    ]


def judge(facts: ServerFacts) -> Finding:
    """Whether inference could get answers there."""
    check, where = f"model server {facts.server}", _without_credentials(facts.url)
    problem = _unreachable(facts) or _refused(facts)
    if problem is not None:
        detail, remedy = problem
        return failed(check, f"{where} {detail}", remedy)
    if facts.models is None:
        return failed(check, f"{where} answers, but not with a list of models", _wrong_url(facts.server))
    if facts.model not in facts.models:
        listed = ", ".join(facts.models[:5]) or "none"
        remedy = f"set spec.baseModel of ModelServer/{facts.server} to one of them, or start the server with that model"
        return failed(check, f"{where} does not serve {facts.model!r}; it serves: {listed}", remedy)
    return ok(check, f"{where} serves {facts.model}")


def judge_all(replicas: Sequence[ServerFacts]) -> list[Finding]:
    """As `judge`; a replica that cannot be reached is a warning while another one answers, since requests go there."""
    found = [judge(facts) for facts in replicas]
    if all(finding.state is not State.OK for finding in found):
        return found
    return [
        warning(finding.check, f"{finding.detail}; requests go to the others", finding.remedy)
        if finding.state is State.FAILED and facts.unreachable not in ("", "key")
        else finding
        for facts, finding in zip(replicas, found, strict=True)
    ]


def _unreachable(facts: ServerFacts) -> tuple[str, str] | None:
    if facts.unreachable == "timeout":
        remedy = "look at that server's log: it is loading its model, overloaded, or hangs"
        return f"did not answer within {_SECONDS:.0f} s", remedy
    if facts.unreachable == "key":
        remedy = f"put nothing but the key, on one line, into the secret {facts.secret!r}"
        return "was not asked: its key holds characters that no header may", remedy
    if facts.unreachable:
        remedy = f"start that server, or correct spec.external.urls of ModelServer/{facts.server}"
        return f"cannot be reached: {facts.unreachable}", remedy
    return None


def _refused(facts: ServerFacts) -> tuple[str, str] | None:
    if facts.status in (401, 403):
        remedy = (
            f"put the right key into the secret {facts.secret!r}"
            if facts.secret
            else f"name its key's secret in spec.external.apiKeySecret of ModelServer/{facts.server}"
        )
        return (
            f"refuses the key ({facts.status})" if facts.secret else f"asks for a key ({facts.status})",
            remedy,
        )
    if facts.status in (429, 500, 502, 503, 504):
        return f"answers {facts.status}", "look at that server's log: it is overloaded, or has failed"
    if facts.status != httpx.codes.OK:
        return f"answers {facts.status}", _wrong_url(facts.server)
    return None


def _wrong_url(server: str) -> str:
    return f"correct spec.external.urls of ModelServer/{server}: an OpenAI-compatible base URL, which ends in /v1"


def _look(subject: Subject, name: str, spec: ModelServerSpec) -> list[Finding]:
    if spec.external is None:
        kind = (
            "the embedded engine, which needs no server"
            if spec.extractive is not None
            else "pods in a cluster"
        )
        return [ok(f"model server {name}", kind)]
    secret = spec.external.api_key_secret
    key = _key(subject, secret)
    if key is None:
        return [skipped(f"model server {name}", "its secret cannot be read, see the keys above")]
    ask = partial(gather, name, model=spec.base_model, secret=secret, key=key)
    with ThreadPoolExecutor(16) as threads:
        return judge_all(list(threads.map(ask, spec.external.urls)))


def gather(server: str, url: str, model: str, secret: str, key: str) -> ServerFacts:
    """Asks for the list of models, as inference would ask for an answer."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        # As the engine: no proxy from the environment, no redirect.
        with httpx.Client(timeout=_SECONDS, trust_env=False, headers=headers) as http:
            response = http.get(url.rstrip("/") + "/models")
    except httpx.TimeoutException:
        return ServerFacts(server, url, model, secret, unreachable="timeout")
    except (httpx.LocalProtocolError, UnicodeError):
        # The error quotes the header.
        return ServerFacts(server, url, model, secret, unreachable="key")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return ServerFacts(server, url, model, secret, unreachable=str(error) or type(error).__name__)
    return ServerFacts(server, url, model, secret, status=response.status_code, models=_models(response))


def _models(response: httpx.Response) -> tuple[str, ...] | None:
    try:
        return tuple(str(entry["id"]) for entry in response.json()["data"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return None


def _key(subject: Subject, secret: str) -> str | None:
    """The key, empty where none is named; None where it cannot be read."""
    if not secret:
        return ""
    path = secret_file(subject, secret)
    try:
        return path.read_text(encoding="utf-8").strip() if path is not None else None
    except (OSError, UnicodeDecodeError):
        return None


def _without_credentials(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "its URL"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
