"""Group `keys`: the API keys file, and the secrets that the objects name. No key is ever printed."""

import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sluice_api.snapshot import Snapshot
from sluice_cli.diagnosing import probing
from sluice_cli.diagnosing.findings import Check, Finding, failed, ok, skipped, warning
from sluice_cli.diagnosing.probing import Probe
from sluice_cli.diagnosing.subject import Subject

GROUP = "keys"

_CHECK = "sluice_gateway.keys_check"
_CHECK_SECONDS = 20.0


@dataclass(frozen=True)
class ApiKeysFacts:
    """The API keys file."""

    path: Path
    mode: int
    """What may be done with it, or with any file where it is a folder; 0 where there is no such file."""
    probe: Probe
    """How the gateway's own check of it ended."""


@dataclass(frozen=True)
class SecretFacts:
    """A secret that a model server names."""

    server: str
    secret: str
    path: Path | None
    """None without a secrets directory, or where the name leads out of it."""
    problem: str = ""
    """Why it cannot be read."""
    mode: int = 0
    empty: bool = False


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    return [
        Check(GROUP, "API keys", lambda: [_api_keys(subject.api_keys)]),
        Check(GROUP, "secrets", lambda: _secrets(subject)),
    ]


def secret_file(subject: Subject, secret: str) -> Path | None:
    """Where a secret is read from; None where it has no place."""
    folder = subject.environments["inference"].path("SLUICE_SECRETS_DIR")
    return None if folder is None or "/" in secret else folder / secret


def judge_api_keys(facts: ApiKeysFacts) -> Finding:
    """Whether the gateway takes the file, and who else reads it."""
    if facts.probe.code == 2:
        remedy = (
            f"correct {facts.path}: `keys:` and a list of entries with key_sha256, tenant and roles, as "
            "`sluice keys new --tenant NAME` prints them"
        )
        return failed("API keys", probing.last_line(facts.probe.errors), remedy)
    if facts.probe.code != 0:
        return failed("API keys", f"the gateway's check {facts.probe.end}", "see the packages above")
    content = json.loads(facts.probe.output)
    if facts.mode & stat.S_IROTH:
        detail = f"everybody on this machine may read {facts.path}"
        judged = failed if content["plain"] else warning
        return judged("API keys", detail, f"chmod 600 {facts.path}")
    counts = f"{content['keys']} keys of {content['tenants']} tenants"
    if content["issuers"]:
        counts += f", tokens of {content['issuers']} issuers"
    if content["plain"]:
        remedy = "replace each by one of `sluice keys new`, of which the file has the digest alone"
        return warning("API keys", f"{counts}; {content['plain']} keys are in the file as they are", remedy)
    for state, tense in (("expired", "has expired"), ("expiring", "expires within two weeks")):
        if names := content[state]:
            remedy = "make another with `sluice keys new`, hand it out, and remove the old one"
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return warning("API keys", f"{counts}; {names[0]}{more} {tense}", remedy)
    return ok("API keys", counts)


def judge_secret(facts: SecretFacts) -> Finding:
    """Whether inference can read a secret."""
    check = f"secret {facts.secret}"
    if facts.path is None:
        remedy = f"put it into a file {Path(facts.secret).name!r} and name its folder in SLUICE_SECRETS_DIR"
        return failed(check, f"ModelServer/{facts.server} names it, and no secrets directory is set", remedy)
    if facts.problem:
        remedy = f"put the key into {facts.path}, readable by its owner"
        return failed(
            check, f"ModelServer/{facts.server}: {facts.path} cannot be read: {facts.problem}", remedy
        )
    if facts.empty:
        return failed(check, f"{facts.path} is empty", f"put the key into {facts.path}")
    if facts.mode & stat.S_IROTH:
        return warning(check, f"everybody on this machine may read {facts.path}", f"chmod 600 {facts.path}")
    return ok(check, f"{facts.path} is there")


def _api_keys(path: Path | None) -> Finding:
    if path is None:
        return ok("API keys", "none: the gateway is open, on loopback only")
    return judge_api_keys(
        ApiKeysFacts(path, _mode(path), probing.python_module(_CHECK, [str(path)], seconds=_CHECK_SECONDS))
    )


def _mode(path: Path) -> int:
    mode = 0
    for file in path.iterdir() if path.is_dir() else [path]:
        mode |= file.stat().st_mode if file.is_file() else 0
    return mode


def _secrets(subject: Subject) -> Iterator[Finding]:
    if subject.snapshot is None:
        yield skipped("secrets", "without objects that compile it cannot be told which there should be")
        return
    found = [judge_secret(facts) for facts in _named(subject, subject.snapshot)]
    yield from found or [ok("secrets", "the objects name none")]


def _named(subject: Subject, snapshot: Snapshot) -> Iterator[SecretFacts]:
    for server, spec in sorted(snapshot.model_servers.items()):
        if spec.external is not None and (secret := spec.external.api_key_secret):
            path = secret_file(subject, secret)
            yield SecretFacts(server, secret, None) if path is None else _secret(server, secret, path)


def _secret(server: str, secret: str, path: Path) -> SecretFacts:
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except OSError as error:
        return SecretFacts(server, secret, path, problem=error.strerror or type(error).__name__)
    except UnicodeDecodeError:
        return SecretFacts(server, secret, path, problem="not UTF-8")
    return SecretFacts(server, secret, path, mode=mode, empty=not text.strip())
