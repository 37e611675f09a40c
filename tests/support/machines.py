"""How much state machines try."""

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine

VARIABLE = "SLUICE_TEST_EXAMPLES"
"""The examples of each state machine; more than the few of a quick run, for a night."""


def bounded(machine: type[RuleBasedStateMachine], examples: int = 40, steps: int = 30) -> Any:
    """The test of a state machine: `examples` runs of up to `steps` steps, or as many as the variable says."""
    case: Any = machine.TestCase
    case.settings = settings(
        max_examples=int(os.environ.get(VARIABLE) or examples),
        stateful_step_count=steps,
        deadline=None,
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    return case
