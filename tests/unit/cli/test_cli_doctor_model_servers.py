"""What doctor says of a model server's replicas."""

import pytest

from sluice_cli.diagnosing.findings import State
from sluice_cli.diagnosing.model_servers import ServerFacts, judge_all

ANSWERS = ServerFacts("default", "http://a/v1", "tiny", "", status=200, models=("tiny",))
AWAY = ServerFacts("default", "http://b/v1", "tiny", "", unreachable="timeout")
WRONG = ServerFacts("default", "http://c/v1", "tiny", "", status=200, models=("other",))


@pytest.mark.parametrize(
    ("replicas", "states"),
    [
        ([ANSWERS, ANSWERS], [State.OK, State.OK]),
        ([ANSWERS, AWAY], [State.OK, State.WARNING]),
        ([AWAY], [State.FAILED]),
        ([AWAY, AWAY], [State.FAILED, State.FAILED]),
        ([ANSWERS, WRONG, AWAY], [State.OK, State.FAILED, State.WARNING]),
    ],
)
def test_replica_that_is_away_is_a_warning_while_another_answers(
    replicas: list[ServerFacts], states: list[State]
):
    found = judge_all(replicas)
    assert [finding.state for finding in found] == states
    for finding in found:
        assert ("go to the others" in finding.detail) is (finding.state is State.WARNING)
