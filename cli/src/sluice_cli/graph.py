"""A run as a picture: its steps in their order, those that ran at once tied together, times on one scale. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.markup import escape

from sluice_cli.terminal import state_style

Json = dict[str, Any]

_FILLS = {"failed": "▓", "skipped": "░", "cancelled": "░"}
"""By state, so that it shows without colours too; all others are solid."""

_MAX_NOTE = 30
_MIN_BAR = 12
_MS = 8


@dataclass(frozen=True)
class _Step:
    name: str
    state: str
    note: str
    start: float
    """Milliseconds since the run's start."""
    end: float
    over: bool
    """Its end is known."""


def run_graph(run: Json, width: int, now: datetime) -> list[str]:
    """A run's picture in lines of console markup.

    Args:
        run: As `GET /v1/runs/{id}` gives it.
        width: Columns to stay within; below 77 they may get longer.
        now: Where the bars of a run end that is under way.
    """
    began = datetime.fromisoformat(run["started"])
    over = datetime.fromisoformat(run["ended"]) if run["ended"] else now
    steps = [_step(step, began, over) for step in run["steps"]]
    groups = _groups(steps)
    end = _since(began, run["ended"], over)
    total = max([end, *(step.end for step in steps)])
    names = max((len(step.name) for step in steps), default=0)
    notes = min(_MAX_NOTE, max((len(step.note) for step in steps), default=0))
    bar = max(_MIN_BAR, width - names - notes - _MS - 6)
    lines = [_flow(groups), ""]
    for group in groups:
        for place, step in enumerate(group):
            milliseconds = f"{step.end - step.start:.1f}" if step.over else "…"
            line = (
                f"{_tie(place, len(group))} {escape(step.name.ljust(names))} {_bar(step, total, bar)}"
                f" {milliseconds:>{_MS}}"
            )
            lines.append(f"{line}  {escape(_cut(step.note))}" if step.note else line)
    scale = f"{end:.1f} ms" if run["ended"] else f"{end:.0f} ms so far"
    lines.append(f"{' ' * (names + 3)}[dim]0{scale:>{bar - 1}}[/]")
    return lines


def _step(step: Json, began: datetime, over: datetime) -> _Step:
    start = _since(began, step["started"], over)
    end = max(start, _since(began, step["ended"], over))
    return _Step(step["name"], step["state"], _note(step), start, end, step["ended"] is not None)


def _since(began: datetime, at: str | None, otherwise: datetime) -> float:
    moment = otherwise if at is None else datetime.fromisoformat(at)
    return max(0.0, (moment - began).total_seconds() * 1000)


def _note(step: Json) -> str:
    """Whatever differs from a first attempt that went well; the decision always."""
    parts = [] if step["state"] == "succeeded" else [step["state"]]
    if step["attempt"] > 1:
        parts.append(f"×{step['attempt']}")
    return " ".join([*parts, *filter(None, (step["decision"], step["reason"]))])


def _groups(steps: Sequence[_Step]) -> list[list[_Step]]:
    """Steps that ran at the same time, together."""
    groups: list[list[_Step]] = []
    for step in steps:
        if groups and step.start < max(other.end for other in groups[-1]):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _flow(groups: Sequence[Sequence[_Step]]) -> str:
    """The order in one line."""
    return " → ".join(
        " ∥ ".join(f"[{state_style(step.state)}]{escape(step.name)}[/]" for step in group) for group in groups
    )


def _tie(place: int, count: int) -> str:
    if count == 1:
        return " "
    return "┌" if place == 0 else "└" if place == count - 1 else "│"


def _bar(step: _Step, total: float, width: int) -> str:
    """At least one cell; the rest of the width in blanks."""
    scale = width / total if total else 0.0
    first = min(width - 1, math.floor(step.start * scale))
    last = min(width, max(first + 1, math.ceil(step.end * scale)))
    fill = _FILLS.get(step.state, "█") * (last - first)
    return f"{' ' * first}[{state_style(step.state)}]{fill}[/]{' ' * (width - last)}"


def _cut(note: str) -> str:
    return note if len(note) <= _MAX_NOTE else note[: _MAX_NOTE - 1] + "…"
