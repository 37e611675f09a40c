"""Modules looked through and run over cases in the guardrail's own runtime, which runs as a child, and what it found as
a person reads it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape

from sluice_cli.diagnosing import probing
from sluice_cli.errors import CommandError, usage

Json = dict[str, Any]

_CHILD = "sluice_guardrail.wasm.testing"
#: Seconds for loading a module and running all cases; each call has a timeout of its own.
_SECONDS = 600.0


def run_cases(module: Path, cases: Path, fields: Json) -> Json:
    """What a module makes of cases.

    Args:
        fields: Of the policy, before those of the file.

    Raises:
        CommandError: a file is wrong, or the runtime cannot be had.
    """
    return _asked("test", str(module), str(cases), json.dumps(fields))


def inspect(module: Path, fields: Json) -> Json:
    """What a module is, and whether it would load.

    Raises:
        CommandError: the file is wrong, or the runtime cannot be had.
    """
    return _asked("inspect", str(module), json.dumps(fields))


def _asked(*arguments: str) -> Json:
    probe = probing.python_module(_CHILD, arguments, seconds=_SECONDS)
    if probe.code != 0:
        raise CommandError(f"the guardrail's runtime {probe.end}", "sluice doctor says whether it is whole")
    report: Json = json.loads(probe.output)
    if "error" in report:
        raise usage(report["error"])
    return report


def case_lines(report: Json) -> Iterator[str]:
    """Each case, those that do not hold with how they differ; then the counts."""
    yield _module_line(report)
    if report["refused"]:
        yield f"[red]would not load:[/] {escape(report['refused'])}"
        return
    width = max(len(case["name"]) for case in report["cases"])
    for case in report["cases"]:
        yield from _case_lines(case, width)
    held = sum(case["passed"] for case in report["cases"])
    times = (
        ""
        if report["median_ms"] is None
        else f"; median {report['median_ms']:.2f} ms, most {report['most_ms']:.2f} ms"
    )
    yield f"{held} of {len(report['cases'])} cases hold; loaded in {report['load_ms']:.0f} ms{times}"


def inspection_lines(report: Json) -> Iterator[str]:
    """What a module is."""
    yield _module_line(report)
    pages = report.get("memory_pages")
    told = {
        "abi": report.get("abi"),
        "memory": None if pages is None else f"{pages * 64} KiB at first",
        "exports": ", ".join(report.get("exports", ())),
        "imports": ", ".join(report.get("imports", ())),
        "cases": report.get("carried_cases") and f"{report['carried_cases']} carried in the module",
    }
    for name, value in told.items():
        if value:
            yield f"  {name:<8} {escape(str(value))}"
    if report["refused"]:
        yield f"[red]would not load:[/] {escape(report['refused'])}"
    else:
        yield "[green]would load[/]"


def _module_line(report: Json) -> str:
    """The digest as a policy names it."""
    return (
        f"module: {report['digest']}\n[dim]kind: {report.get('kind', 'unknown')}, {report['bytes']} bytes[/]"
    )


def _case_lines(case: Json, width: int) -> Iterator[str]:
    result = "[green]holds[/]" if case["passed"] else "[red]FAILS[/]"
    got = case["got"]
    action = "error" if got["error"] is not None else got["action"]
    time = "–" if case["milliseconds"] is None else f"{case['milliseconds']:.2f} ms"
    yield f"{result}  {escape(case['name'].ljust(width))}  {action:<6}  {time:>10}"
    if case["passed"]:
        return
    for difference in case["differences"]:
        yield f"       {difference['field']:<7} [green]expected  {_value(difference['expected'])}[/]"
        yield f"       {'':<7} [red]got       {_value(difference['got'])}[/]"
    if got["reason"]:
        yield f"       [dim]reason  {escape(got['reason'])}[/]"
    for line in case["logged"]:
        yield f"       [dim]logged  {escape(line)}[/]"


def _value(value: object) -> str:
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
