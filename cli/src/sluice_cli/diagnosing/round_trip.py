"""Group `round trip`, only on request: a search from end to end, and the journal's chains."""

from functools import partial

from sluice_cli.client import Api, Target
from sluice_cli.diagnosing import probing
from sluice_cli.diagnosing.findings import Check, Finding, failed, ok, skipped
from sluice_cli.diagnosing.probing import Probe
from sluice_cli.diagnosing.subject import Subject
from sluice_cli.errors import CommandError
from sluice_cli.supervising.plan import GATEWAY

GROUP = "round trip"

_VERIFY_SECONDS = 50.0


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    if not subject.asked.deep:
        return []
    if subject.running is None:
        nothing = skipped("search", "no `sluice up` runs on this data folder")
        return [Check(GROUP, "search", lambda: [nothing])]
    target = Target(subject.url, subject.asked.api_key, subject.asked.tenant)
    names = sorted(subject.in_force.knowledge_bases) if subject.in_force is not None else []
    return [
        *(Check(GROUP, f"search {name}", partial(_search, target, name)) for name in names),
        Check(GROUP, "audit", lambda: [judge_audit(_verified(subject))]),
    ]


def judge_audit(probe: Probe) -> Finding:
    """Whether the journal is what was written."""
    if probe.code == 0:
        return ok("audit", probing.last_line(probe.output))
    said = probing.last_line(probe.output) if probe.code == 1 else f"the check {probe.end}"
    return failed("audit", said, "`sluice audit verify` names the rows; put the journal back from a backup")


def _search(target: Target, name: str) -> list[Finding]:
    return [_searched(target, name)]


def _searched(target: Target, name: str) -> Finding:
    try:
        with Api(target) as api:
            found = api.post("/v1/search", {"query": "Does it work?", "knowledge_base": name, "top_k": 1})
    except CommandError as error:
        if "invalid_api_key" in error.message.lower():
            remedy = "give one with --api-key or SLUICE_API_KEY"
            return skipped(
                f"search {name}", "API keys are on and none was given that the gateway knows", remedy
            )
        return failed(f"search {name}", error.message, error.hint or "see the logs of retriever and gateway")
    return ok(f"search {name}", f"answered, {len(found['hits'])} passage found")


def _verified(subject: Subject) -> Probe:
    arguments = ["verify", "--data", str(subject.layout.of(GATEWAY))]
    key_file = subject.environments[GATEWAY].path("SLUICE_JOURNAL_KEY_FILE")
    if key_file is not None:
        arguments += ["--key-file", str(key_file)]
    return probing.python_module("sluice_gateway.audit", arguments, seconds=_VERIFY_SECONDS)
