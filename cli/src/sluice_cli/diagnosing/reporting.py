"""The report: as lines for people, and as data."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.markup import escape

from sluice_cli import exits
from sluice_cli.diagnosing.findings import Entry, State
from sluice_cli.diagnosing.subject import Subject

_MARKS = {
    State.OK: "[green]✓[/]",
    State.WARNING: "[yellow]![/]",
    State.FAILED: "[bold red]✗[/]",
    State.SKIPPED: "[dim]–[/]",
}


def exit_code(entries: Sequence[Entry]) -> int:
    """1 where something failed."""
    return exits.FAILED if any(entry.finding.state is State.FAILED for entry in entries) else exits.OK


def as_data(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """`[{group, check, state, detail, remedy}]`."""
    return [{"group": entry.group, **asdict(entry.finding)} for entry in entries]


def as_lines(entries: Sequence[Entry]) -> Iterator[str]:
    """Grouped, with a mark for each finding and what to do below it. In rich's markup."""
    width = max((len(entry.finding.check) for entry in entries), default=0)
    for group, members in groupby(entries, key=lambda entry: entry.group):
        yield f"[bold]{group}[/]"
        for finding in (member.finding for member in members):
            yield f"  {_MARKS[finding.state]} {_plain(finding.check.ljust(width))}  {_plain(finding.detail)}"
            if finding.remedy:
                yield f"    {' ' * width}  → {_plain(finding.remedy)}"


def last_line(entries: Sequence[Entry], subject: Subject) -> str:
    """How many of each, and what to do next."""
    counts = Counter(entry.finding.state for entry in entries)
    counted = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return f"{counted}. {_next(counts, subject)}"


def _next(counts: Counter[State], subject: Subject) -> str:
    if counts[State.FAILED]:
        return "Do what the arrow below each failed check says, then run `sluice doctor` again."
    if subject.running is not None:
        return f'Sluice works here: `sluice ask "…" --url {subject.running.url}`'
    if not subject.asked.objects:
        return "Sluice can start here, with objects: `sluice up -f FOLDER`"
    given = " ".join(f"-f {path}" for path in subject.asked.objects)
    return f"Sluice can start here: `sluice up {given}`"


def _plain(text: str) -> str:
    """On one line and without what a terminal would obey: details quote logs, files and servers."""
    return escape("".join(char if char.isprintable() else " " for char in text))
