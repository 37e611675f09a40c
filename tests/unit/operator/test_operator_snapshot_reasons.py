"""What stands in statuses stands in the documentation."""

from pathlib import Path

import pytest

from sluice_api.statuses import guardrail_policy, pipeline
from sluice_api.statuses.base import READY, ConditionType

PAGE = (Path(__file__).parents[3] / "docs" / "snapshot.md").read_text()


@pytest.mark.parametrize("condition", pipeline.CONDITIONS, ids=lambda each: each.name)
def test_every_reason_is_explained(condition: ConditionType) -> None:
    if condition.name == READY:
        own = {reason for other in pipeline.CONDITIONS for reason in other.reasons if other is not condition}
        assert own & condition.reasons.keys()
        return
    _, _, section = PAGE.partition(f"### {condition.name}")
    table = section.partition("\n### ")[0]
    assert {f"`{reason}`" for reason in condition.reasons} <= {
        line.split(" | ")[0].strip("| ") for line in table.splitlines()
    }


@pytest.mark.parametrize("conditions", [pipeline.CONDITIONS, guardrail_policy.CONDITIONS])
def test_ready_has_the_reason_of_whatever_may_not_hold(conditions: tuple[ConditionType, ...]) -> None:
    *others, ready = conditions
    assert ready.name == READY
    for condition in others:
        if condition.name in ("Compiled", "Distributed"):
            good = {"Compiled", "Acknowledged"}
            assert condition.reasons.keys() - good <= ready.reasons.keys()
