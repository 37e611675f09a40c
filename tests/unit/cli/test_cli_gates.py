"""What `sluice runs show` says of the gates' detectors."""

import io

from rich.console import Console

from sluice_cli.rendering import gates_table, shadow_lines

REPORT = {
    "detector": "pii",
    "version": "3",
    "threshold_set": "policy",
    "state": "partial",
    "score": 0.314,
    "threshold": 0.5,
    "decision": "allow",
    "ms": 1.234,
}


def _run(**detail: object) -> dict:
    return {"steps": [{"name": "retrieve", "detail": {}}, {"name": "guard_input", "detail": detail}]}


def test_each_detector_has_a_line():
    console = Console(file=io.StringIO(), width=200)
    console.print(gates_table(_run(detectors=[REPORT])))
    line = next(line for line in console.file.getvalue().splitlines() if "pii" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == ["guard_input", "pii", "3", "allow", "0.31 / 0.50", "partial", "1.23"]


def test_older_runs_have_none():
    assert gates_table(_run(findings=[])) is None
    assert shadow_lines(_run(findings=[])) == []


def test_a_policy_that_only_records_says_what_it_would_have_done():
    assert shadow_lines(_run(mode="shadow", would="block")) == ["guard_input  shadow: would block"]
    assert shadow_lines(_run(mode="enforce", would="block")) == []
