"""Runs and passages as a person reads them."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from sluice_cli.terminal import state

Json = dict[str, Any]


def steps_table(run: Json) -> Table:
    """The steps of a run, in the order in which they started."""
    table = Table("step", "state", "attempt", "decision", "ms", "note")
    for column in (2, 4):
        table.columns[column].justify = "right"
    for step in run["steps"]:
        table.add_row(
            step["name"],
            state(step["state"]),
            str(step["attempt"]),
            step["decision"] or "",
            _milliseconds(step["duration_ms"]),
            escape("; ".join(filter(None, (step["reason"], _hedge(step))))),
        )
    return table


def _hedge(step: Json) -> str:
    """Which of two attempts at once has won."""
    hedge = step["detail"].get("hedge")
    return f"hedged after {hedge['after_ms']} ms, the {hedge['won']} won" if hedge else ""


def evidence_lines(run: Json) -> list[str]:
    """What the passages of each round held of the question: of each part that it asks, the share of its words."""
    lines = []
    for step in run["steps"]:
        detail = step["detail"]
        if "by_part" in detail:
            shares = ", ".join(f"{share:.2f}" for share in detail["by_part"])
            count = f"{detail['passages']} passages, best {detail['best']:.2f}"
            lines.append(f"{step['name']}  coverage {shares}; {count}")
    return lines


def run_line(run: Json) -> str:
    """A run in one line."""
    reason = f"  {escape(run['reason'])}" if run["reason"] else ""
    return f"run {run['run_id']}  {state(run['state'])}  {_milliseconds(run['duration_ms'])} ms{reason}"


def runs_table(runs: list[Json]) -> Table:
    """Runs, newest first."""
    table = Table("run", "model", "state", "started", "ms", "reason")
    table.columns[0].min_width = 36  # an id that is cut is of no use
    table.columns[4].justify = "right"
    for run in runs:
        started = run["started"][:19].replace("T", " ")
        table.add_row(
            run["run_id"],
            escape(run["model"]),
            state(run["state"]),
            started,
            _milliseconds(run["duration_ms"]),
            escape(run["reason"]),
        )
    return table


def change_line(run: Json) -> str:
    """A run that has just started or ended, in one line; columns stand under each other."""
    at = (run["ended"] or run["started"])[:19].replace("T", " ")
    padding = " " * (9 - len(run["state"]))
    return (
        f"{at}  {run['run_id']}  {escape(run['model']):<12}  {state(run['state'])}{padding}"
        f"  {_milliseconds(run['duration_ms']):>8}  {escape(run['reason'])}".rstrip()
    )


def verdict_lines(verdict: Json) -> list[str]:
    """Why a gate decided: one line for each finding."""
    lines = [f"policy {escape(verdict['policy'])} (version {escape(verdict['policy_version'])})"]
    for finding in verdict["findings"]:
        start, end = finding["span"]
        lines.append(
            f"{finding['decision']}: {finding['detector']}"
            + (f" · {escape(finding['category'])}" if finding["category"] else "")
            + f"  score {finding['score']:.2f}, threshold {finding['threshold']:.2f}, characters {start}–{end}"
        )
    return lines


def flag_lines(flags: list[Json]) -> list[str]:
    """What the gates found and let go on: one line for each finding."""
    return [
        _finding_line(flag["step"], flag.get("decision", "flag"), flag, flag["segment"], *flag["span"])
        for flag in flags
    ]


def finding_lines(run: Json) -> list[str]:
    """What each gate of a run found; `allow` is what stayed below its threshold."""
    return [
        _finding_line(step["name"], finding["decision"], finding, *finding["span"])
        for step in run["steps"]
        for finding in step["detail"].get("findings", ())
    ]


def gates_table(run: Json) -> Table | None:
    """What each detector of each gate has seen and decided; None where the run holds nothing of it."""
    table = Table("gate", "detector", "version", "decision", "score / from", "state", "ms")
    table.columns[1].overflow = table.columns[2].overflow = "fold"
    for column in (4, 6):
        table.columns[column].justify = "right"
    for step in run["steps"]:
        for report in step["detail"].get("detectors", ()):
            table.add_row(
                step["name"],
                escape(report["detector"]),
                escape(report["version"]),
                report["decision"],
                f"{report['score']:.2f} / {report['threshold']:.2f}",
                ": ".join(filter(None, (report["state"], escape(report.get("detail", ""))))),
                f"{report['ms']:.2f}",
            )
    return table if table.row_count else None


def shadow_lines(run: Json) -> list[str]:
    """What gates would have done whose policies only record."""
    return [
        f"{step['name']}  shadow: would {escape(step['detail'].get('would', 'allow'))}"
        for step in run["steps"]
        if step["detail"].get("mode") == "shadow"
    ]


def origin_lines(run: Json) -> list[str]:
    """Which other run has made the answer, where one has."""
    lines = []
    for step in run["steps"]:
        detail = step["detail"]
        if step["name"] == "cache" and "run_id" in detail:
            near = f", similarity {detail['similarity']:.3f}" if "similarity" in detail else ""
            lines.append(
                f"answered by run {escape(detail['run_id'])}, {detail['age_seconds']:.0f} s before"
                f" ({escape(detail['kind'])}{near})"
            )
        elif step["name"] == "coalesce" and "coalesced_with" in detail:
            lines.append(f"answered together with run {escape(detail['coalesced_with'])}")
    return lines


def hit_lines(number: int, hit: Json) -> str:
    """A passage: where it is from, its score and its beginning."""
    text = " ".join(hit["text"].split())
    beginning = text if len(text) <= 240 else text[:239] + "…"
    return (
        f"[bold]{number}. {escape(hit['document_id'])}[/]  [dim]{hit['score']:.4f}[/]\n   {escape(beginning)}"
    )


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _finding_line(step: str, decision: str, finding: Json, text: int, start: int, end: int) -> str:
    return (
        f"{step}  {decision}: {finding['detector']} · {escape(finding['category'])}"
        f"  score {finding['score']:.2f}, threshold {finding['threshold']:.2f}, text {text}, characters {start}–{end}"
    )
