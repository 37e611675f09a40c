"""What tests need of the machine beyond the locked environment. A test says `@pytest.mark.needs("procfs")`.

Where it is missing the test is skipped with what to do about it, and fails instead if `SLUICE_REQUIRE` (names
parted by commas) names it. Every run ends with the tests that were skipped, by reason.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluice_minilm import int8
from support import api_server, clients, opensearch, postgres, real_vllm

VARIABLE = "SLUICE_REQUIRE"


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that a machine may lack."""

    name: str
    probe: Callable[[], bool]
    remedy: str
    """What brings it."""


CAPABILITIES = (
    Capability("procfs", Path("/proc/self/task").is_dir, "run on Linux, with /proc mounted"),
    Capability(
        "vnni",
        lambda: int8.is_exact(Path("/proc/cpuinfo")),
        "run on Linux, on a processor with AVX-VNNI or AVX-512 VNNI",
    ),
    Capability(
        "opensearch",
        opensearch.is_there,
        f"make test-opensearch, or set {opensearch.URL_VARIABLE} to a node's",
    ),
    Capability("node", clients.is_there, "make clients, which needs Node 20 and npm"),
    Capability("vllm", real_vllm.is_there, "make test-vllm, which takes 6 GB of disk"),
    Capability("cluster", api_server.is_there, api_server.missing()),
    Capability("postgres", postgres.is_there, "apt-get install postgresql"),
    Capability(
        "ticket-scope",
        (Path(__file__).parents[2] / "policies" / "modules" / "ticket-scope.wasm").is_file,
        "make policies POLICIES=ticket-scope, which needs Go",
    ),
    Capability(
        "qdrant",
        lambda: bool(os.environ.get("QDRANT_URL")),
        "set QDRANT_URL (and QDRANT_GRPC_PORT) to a Qdrant server that may be written to",
    ),
)


class Needs:
    """The plugin.

    Args:
        required: Comes from `SLUICE_REQUIRE`.

    Raises:
        pytest.UsageError: `required` names what there is not.
    """

    def __init__(self, capabilities: Sequence[Capability], required: str) -> None:
        self._known = {capability.name: capability for capability in capabilities}
        self._required = {name.strip() for name in required.split(",") if name.strip()}
        self._found: dict[str, bool] = {}
        if unknown := sorted(self._required - self._known.keys()):
            raise pytest.UsageError(
                f"{VARIABLE} names {', '.join(unknown)}; there is: {', '.join(self._known)}"
            )

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line(
            "markers", "needs(*names): what the machine must have; see support.capabilities"
        )

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        for marker in item.iter_markers("needs"):
            for name in marker.args:
                self._check(name)

    def _check(self, name: str) -> None:
        if name not in self._known:
            pytest.fail(f"there is no capability {name!r}; there is: {', '.join(self._known)}", pytrace=False)
        capability = self._known[name]
        if name not in self._found:
            self._found[name] = capability.probe()
        if self._found[name]:
            return
        reason = f"needs {name}: {capability.remedy}"
        if name in self._required:
            pytest.fail(f"{reason} ({VARIABLE} names it)", pytrace=False)
        pytest.skip(reason)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        skipped: Mapping[str, list[str]] = defaultdict(list)
        for report in terminalreporter.stats.get("skipped", ()):
            skipped[_reason(report)].append(report.nodeid)
        terminalreporter.section("skipped")
        if not skipped:
            terminalreporter.line("nothing was skipped")
        for reason, tests in sorted(skipped.items()):
            terminalreporter.line(f"{len(tests)}: {reason}")
            for test in sorted(tests):
                terminalreporter.line(f"  {test}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(getattr(report, "wasxfail", report.longrepr))
