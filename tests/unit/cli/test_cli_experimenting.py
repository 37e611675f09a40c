"""Experiments as they are printed."""

from typing import Any

import pytest
from rich.console import Console

from sluice_cli import exits
from sluice_cli.commands.feedback import _rating
from sluice_cli.errors import CommandError
from sluice_cli.experimenting import (
    arms_table,
    comparison_lines,
    experiments_table,
    guard_metrics_table,
    suggestion_line,
)

NOTHING = {"count": 0, "mean": None, "variance": None}


def _arm(name: str, role: str, requests: int = 0, **outcomes: Any) -> dict[str, Any]:
    found = {
        "requests": requests,
        "degraded": 0,
        "cancelled": 0,
        "errors": {"total": 0},
        "blocks": {"total": 0},
        "feedback": {**NOTHING, "up": 0, "down": 0},
        **dict.fromkeys(("groundedness", "seconds", "prompt_tokens", "completion_tokens"), NOTHING),
        **outcomes,
    }
    return {
        "name": name,
        "role": role,
        "weight": 50,
        "model_name": "" if role == "Control" else "support-r2",
        "resting": False,
        "outcomes": found,
    }


def _comparison(
    metric: str, value: float, always: list[float | None], better: str = "less"
) -> dict[str, Any]:
    return {
        "arm": "r2",
        "metric": metric,
        "aggregation": "p95" if metric == "latency" else "rate",
        "better": better,
        "difference": {"value": value},
        "always_valid": always,
    }


def _report(*comparisons: dict[str, Any], requests: int = 2000) -> dict[str, Any]:
    return {
        "arms": [_arm("base", "Control", requests), _arm("r2", "Treatment", requests)],
        "comparisons": list(comparisons),
        "guard_metrics": [],
        "min_samples_per_arm": 1000,
        "suggestion": {"verdict": "continue", "arm": ""},
    }


def _printed(renderable: object) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def _lines(*comparisons: dict[str, Any]) -> list[str]:
    return [
        line.rstrip()
        for line in _printed("\n".join(comparison_lines(_report(*comparisons), 80))).splitlines()
    ]


def test_interval_is_drawn_around_zero():
    assert _lines(
        _comparison("errorRate", -0.02, [-0.04, 0.01]), _comparison("latency", 0.15, [0.1, 0.2])
    ) == [
        "r2 − base",
        "  errorRate       −2.00 %  −4.00 % to +1.00 %        ├────●───┼─┤",
        "  latency p95     +150 ms  +100 ms to +200 ms                 │   ├──●─┤",
    ]


def test_interval_without_ends_says_so():
    [_, open_, half] = _lines(
        _comparison("latency", 0.1, [None, None]), _comparison("latency", 0.1, [0.05, None])
    )
    assert open_.endswith("−∞ to +∞                  ◂────────┼───●────▸")
    assert half.endswith("+50 ms to +∞                       │   ├────●")


@pytest.mark.parametrize(
    ("always", "better", "style"),
    [
        ([0.01, 0.2], "more", "[green]"),
        ([0.01, 0.2], "less", "[red]"),
        ([-0.2, -0.01], "less", "[green]"),
        ([-0.2, -0.01], "more", "[red]"),
        ([-0.2, 0.01], "more", "[default]"),
        ([None, None], "more", "[default]"),
    ],
)
def test_what_is_sure_has_a_colour(always: list[float | None], better: str, style: str):
    [_, line] = comparison_lines(_report(_comparison("feedback", 0.0, always, better)), 80)
    assert style in line


def test_arms_stand_side_by_side():
    seconds = {"count": 9, "mean": 0.25, "variance": 0.1, "p50": 0.2, "p95": 0.5, "p99": 0.75}
    feedback = {"count": 4, "mean": 0.75, "variance": 0.25, "up": 3, "down": 1}
    arms = [_arm("base", "Control", 10, errors={"total": 1}, seconds=seconds, feedback=feedback)]
    printed = _printed(arms_table([*arms, {**_arm("r[2]", "Treatment"), "resting": True}]))
    for part in ("r[2]", "base model", "50 % resting", "1 (10.0 %)", "500 ms", "0.750 (3 up, 1 down)", "–"):
        assert part in printed


def test_guard_metrics_say_what_is_bounded():
    estimate = {"value": -0.005, "interval": [-0.2, 0.1], "samples": 9}
    gain = {"arm": "r2", "metric": "latency", "aggregation": "p95", "bound": "minDelta", "limit": -0.2}
    most = {"arm": "r2", "metric": "errorRate", "aggregation": "rate", "bound": "max", "limit": 0.02}
    printed = _printed(
        guard_metrics_table(
            [
                {**gain, "standing": "open", "estimate": estimate},
                {**most, "standing": "too_few", "estimate": None},
            ]
        )
    )
    for part in ("gain ≥ −200 ms", "−5 ms", "−200 ms to +100 ms", "≤ 2.00 %", "too few", "–"):
        assert part in printed


def test_suggestion_says_why_there_is_none_yet():
    report = {**_report(requests=10), "guard_metrics": [{}]}
    assert "none has won below 1000 runs in each arm" in suggestion_line(report)
    report = {**_report(), "guard_metrics": [{}], "suggestion": {"verdict": "breach", "arm": "r2"}}
    assert suggestion_line(report) == "suggestion: [red]breach[/] of r2"


def test_experiments_are_listed_with_their_arms():
    report = _report()
    each = {
        "name": "trial",
        "model_name": "support",
        "model_server": "vllm",
        "unit": "user",
        "promoted": "r2",
    }
    printed = _printed(experiments_table([{**each, "arms": report["arms"]}]))
    assert "base 50 %, r2 50 %" in printed


@pytest.mark.parametrize(("text", "rating"), [("up", "up"), ("down", "down"), ("0.5", 0.5), ("1", 1.0)])
def test_rating_is_a_word_or_a_number(text: str, rating: object):
    assert _rating(text) == rating


def test_rating_that_is_neither_is_wrong_use():
    with pytest.raises(CommandError) as raised:
        _rating("great")
    assert (raised.value.code, raised.value.hint) == (exits.USAGE, "give up, down, or a number from 0 to 1")
