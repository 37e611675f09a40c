"""Rounds and hedges of a run as a person reads them."""

from typing import Any

from rich.console import Console

from sluice_cli.rendering import evidence_lines, steps_table


def _step(name: str, **changes: Any) -> dict[str, Any]:
    step = {"name": name, "state": "succeeded", "attempt": 1, "decision": None, "reason": "", "detail": {}}
    return {**step, "duration_ms": 1.0, **changes}


EVIDENCE = {"coverage": 0.0, "by_part": [0.9167, 0.0], "best": 0.6985, "passages": 5, "next": "split"}
HEDGE = {"hedge": {"after_ms": 50, "won": "second"}}
RUN = {
    "steps": [
        _step("guard_input", decision="allow"),
        _step("retrieve", attempt=2, detail=HEDGE, reason="LEGS_LEFT_OUT (keyword)"),
        _step("evidence", decision="thin", reason="LOOKS_AGAIN (split)", detail=EVIDENCE),
        _step("retrieve.2"),
    ]
}


def test_evidence_is_told_by_part():
    assert evidence_lines(RUN) == ["evidence  coverage 0.92, 0.00; 5 passages, best 0.70"]


def test_table_has_rounds_decisions_and_hedges():
    console = Console(width=140)
    with console.capture() as printed:
        console.print(steps_table(RUN))
    lines = printed.get().splitlines()
    [retrieve] = [line for line in lines if "│ retrieve " in line]
    assert "LEGS_LEFT_OUT (keyword); hedged after 50 ms, the second won" in retrieve
    [evidence] = [line for line in lines if "evidence" in line]
    assert "thin" in evidence
    assert any("retrieve.2" in line for line in lines)
