"""What `sluice ask` says of the gates."""

import io
from typing import Any

import pytest
from rich.console import Console

from sluice_cli.commands.ask import Answer, explain

RUN = {"run_id": "r", "state": "answered", "reason": "", "duration_ms": 1.0, "steps": []}
FLAG = {"detector": "pii", "category": "email", "score": 0.9, "threshold": 0.5, "segment": 1, "span": [3, 9]}
VERDICT = {"policy": "p", "policy_version": "v", "findings": [{**FLAG, "decision": "block"}]}


def _said(**sluice: Any) -> str:
    console = Console(file=io.StringIO(), width=200)
    explain(Answer(text="It is so.", finish_reason="stop", sluice={"run_id": "r", **sluice}), RUN, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_flags_name_step_detector_and_place():
    said = _said(flags=[{**FLAG, "step": "guard_input"}])
    assert "guard_input  flag: pii · email  score 0.90, threshold 0.50, text 1, characters 3–9" in said


@pytest.mark.parametrize(("decision", "shown"), [("block", True), ("flag", False)])
def test_verdict_is_shown_where_it_blocks_though_the_answer_had_left(decision: str, shown: bool):
    said = _said(flags=[], verdict={**VERDICT, "decision": decision})
    assert ("policy p (version v)" in said) is shown
