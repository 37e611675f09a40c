"""A run as a picture: order, parallel steps, one scale, how each step ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.text import Text

from sluice_cli.graph import run_graph

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Json = dict[str, Any]


def _at(milliseconds: float | None) -> str | None:
    return None if milliseconds is None else (BEGAN + timedelta(milliseconds=milliseconds)).isoformat()


def _step(
    name: str,
    start: float,
    end: float | None,
    state: str = "succeeded",
    decision: str | None = None,
    reason: str = "",
    attempt: int = 1,
) -> Json:
    return {
        "name": name,
        "state": state,
        "attempt": attempt,
        "decision": decision,
        "reason": reason,
        "started": _at(start),
        "ended": _at(end),
    }


def _drawn(*steps: Json, end: float | None, now: float = 0, width: int = 80) -> list[str]:
    run = {"started": _at(0), "ended": _at(end), "steps": list(steps)}
    lines = run_graph(run, width, BEGAN + timedelta(milliseconds=now))
    return [Text.from_markup(line).plain for line in lines]


def test_answered():
    assert _drawn(
        _step("guard_input", 0, 10, decision="allow"),
        _step("retrieve", 0, 40),
        _step("rerank", 40, 50),
        _step("generate", 50, 90),
        _step("guard_output", 90, 100, decision="allow"),
        end=100,
        width=73,
    ) == [
        "guard_input ∥ retrieve → rerank → generate → guard_output",
        "",
        "┌ guard_input  " + "█" * 5 + " " * 37 + "     10.0  allow",
        "└ retrieve     " + "█" * 17 + " " * 25 + "     40.0",
        "  rerank       " + " " * 16 + "█" * 5 + " " * 21 + "     10.0",
        "  generate     " + " " * 21 + "█" * 17 + " " * 4 + "     40.0",
        "  guard_output " + " " * 37 + "█" * 5 + "     10.0  allow",
        "               0" + " " * 33 + "100.0 ms",
    ]


def test_blocked_shows_the_retrieval_that_was_given_up():
    flow, _, guard, retrieve, _ = _drawn(
        _step("guard_input", 0, 8, decision="block", reason="PROMPT_INJECTION"),
        _step("retrieve", 1, 9, "skipped", reason="BLOCKED"),
        end=10,
    )
    assert flow == "guard_input ∥ retrieve"
    assert guard.startswith("┌")
    assert guard.endswith("block PROMPT_INJECTION")
    assert "█" in guard
    assert retrieve.startswith("└")
    assert retrieve.endswith("skipped BLOCKED")
    assert "░" in retrieve


def test_degraded_and_failed_show_attempts_and_reasons():
    lines = _drawn(
        _step("retrieve", 0, 5),
        _step("rerank", 5, 20, "failed", reason="UNAVAILABLE", attempt=3),
        _step("generate", 20, 30, "cancelled"),
        end=30,
    )
    assert lines[0] == "retrieve → rerank → generate"
    assert lines[3].endswith("15.0  failed ×3 UNAVAILABLE")
    assert "▓" in lines[3]
    assert lines[4].endswith("cancelled")
    assert "░" in lines[4]


def test_question_that_was_not_admitted():
    lines = _drawn(_step("admit", 0, 0, "failed", reason="MODEL_NOT_FOUND"), end=0)
    assert lines[0] == "admit"
    assert lines[2].count("▓") == 1
    assert lines[2].endswith("0.0  failed MODEL_NOT_FOUND")


def test_running_goes_on_until_now():
    lines = _drawn(_step("retrieve", 0, 5), _step("generate", 5, None, "running"), end=None, now=20)
    assert lines[3].endswith("…  running")
    assert lines[3].count("█") == pytest.approx(3 * lines[2].count("█"), abs=2)
    assert lines[4].endswith("20 ms so far")
    assert _drawn(end=None, now=5)[-1].endswith("5 ms so far")


def test_step_whose_end_is_not_known_goes_on_until_the_runs_end():
    lines = _drawn(_step("retrieve", 0, 50), _step("generate", 50, None, "running"), end=100, now=10**9)
    assert lines[2].count("█") == pytest.approx(lines[3].count("█"), abs=1)
    assert lines[4].endswith("100.0 ms")


def test_steps_that_only_touch_are_not_parallel():
    assert _drawn(_step("a", 0, 5), _step("b", 5, 9), end=9)[0] == "a → b"
    assert _drawn(_step("a", 0, 5), _step("b", 4, 9), _step("c", 8, 10), end=10)[0] == "a ∥ b ∥ c"


@pytest.mark.parametrize("width", [80, 200])
def test_lines_stay_within_the_width(width: int):
    lines = _drawn(
        _step("guard_input", 0, 1, decision="allow"),
        _step("retrieve", 0, 2),
        _step("a_step_of_some_length", 99, 100, "failed", reason="A_REASON_THAT_NEVER_ENDS_" * 3, attempt=2),
        end=100,
        width=width,
    )
    assert max(map(len, lines)) <= width


def test_clocks_that_go_back_draw_something_all_the_same():
    lines = _drawn(_step("a", 5, 2), _step("b", -3, -1), end=-1)
    assert all("█" in line for line in lines[2:4])


def test_markup_in_a_reason_is_only_text():
    assert _drawn(_step("a", 0, 1, reason="[red]x[/]"), end=1)[2].endswith("[red]x[/]")
