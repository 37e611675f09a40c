"""Experiments as a person reads them: a table of the arms, a line for each difference."""

from collections.abc import Callable, Iterator
from typing import Any

from rich.markup import escape
from rich.table import Table

Json = dict[str, Any]

_SHARES = {"errorRate", "blockRate", "degradedRate"}
_MIN_PLOT, _MAX_PLOT = 17, 41
_NUMBERS = 62
"""Columns that a difference takes beside its plot."""

_STYLES = {"met": "green", "broken": "red", "open": "yellow", "too_few": "dim"}
_VERDICTS = {"continue": "cyan", "breach": "red", "success": "green"}


def experiments_table(experiments: list[Json]) -> Table:
    """Experiments, one in a line."""
    table = Table("experiment", "model", "server", "unit", "arms", "promoted")
    for each in experiments:
        arms = ", ".join(f"{arm['name']} {arm['weight']} %" for arm in each["arms"])
        table.add_row(
            *(escape(each[field]) for field in ("name", "model_name", "model_server")),
            each["unit"],
            escape(arms),
            escape(each["promoted"]),
        )
    return table


def arms_table(arms: list[Json]) -> Table:
    """Arms in columns, what became of their runs in lines."""
    table = Table("", *(escape(arm["name"]) for arm in arms))
    for column in table.columns[1:]:
        column.justify = "right"
    for name, cell in _ROWS:
        table.add_row(name, *(cell(arm) for arm in arms))
    return table


def comparison_lines(report: Json, width: int) -> Iterator[str]:
    """For each difference its number, its interval and a picture of that around zero."""
    control = next((arm["name"] for arm in report["arms"] if arm["role"] == "Control"), "")
    plot = max(_MIN_PLOT, min(_MAX_PLOT, width - _NUMBERS)) // 2 * 2 + 1
    last = ""
    for each in report["comparisons"]:
        if each["arm"] != last:
            last = each["arm"]
            yield f"[bold]{escape(last)} − {escape(control)}[/]"
        metric = each["metric"]
        lower, upper = each["always_valid"]
        value = each["difference"]["value"]
        name = metric if each["aggregation"] in ("mean", "rate") else f"{metric} {each['aggregation']}"
        interval = f"{_signed(metric, lower, '−∞')} to {_signed(metric, upper, '+∞')}"
        bar = _plot(lower, value, upper, plot)
        style = _leaning(each)
        yield f"  {name:<13} {_signed(metric, value):>9}  {interval:<25} [{style}]{bar}[/]"


def guard_metrics_table(checks: list[Json]) -> Table:
    """Bounds and how they stand."""
    table = Table("guard metric", "arm", "bound", "measured", "interval", "stands")
    for check in checks:
        metric, found = check["metric"], check["estimate"]
        gain = check["bound"] == "minDelta"
        measured = interval = "–"
        if found is not None:
            lower, upper = found["interval"]
            write = _signed if gain else _plain
            measured = write(metric, found["value"])
            interval = f"{write(metric, lower, '−∞')} to {write(metric, upper, '+∞')}"
        table.add_row(
            f"{metric} {check['aggregation']}",
            escape(check["arm"]),
            f"{'gain ≥' if gain else '≤'} {(_signed if gain else _plain)(metric, check['limit'])}",
            measured,
            interval,
            f"[{_STYLES[check['standing']]}]{check['standing'].replace('_', ' ')}[/]",
        )
    return table


def suggestion_line(report: Json) -> str:
    """What the guard metrics say together."""
    suggestion = report["suggestion"]
    verdict = suggestion["verdict"]
    arm = f" of {suggestion['arm']}" if suggestion["arm"] else ""
    least = report["min_samples_per_arm"]
    few = any(arm["outcomes"]["requests"] < least for arm in report["arms"])
    note = f"  [dim]none has won below {least} runs in each arm[/]" if few and report["guard_metrics"] else ""
    return f"suggestion: [{_VERDICTS[verdict]}]{verdict}[/]{escape(arm)}{note}"


def _leaning(comparison: Json) -> str:
    """Green where the treatment is surely better, red where it is surely worse."""
    lower, upper = comparison["always_valid"]
    more = lower is not None and lower > 0
    less = upper is not None and upper < 0
    if not (more or less):
        return "default"
    return "green" if more == (comparison["better"] == "more") else "red"


def _plot(lower: float | None, value: float, upper: float | None, width: int) -> str:
    """The interval on a scale of its own with zero in the middle; without an end where it has none."""
    known = [abs(end) for end in (lower, upper) if end is not None]
    reach = max([*known, abs(value) * (1 if known else 2)]) or 1.0
    half = width // 2

    def place(number: float) -> int:
        return half + round(number / reach * half)

    first = 0 if lower is None else place(lower)
    last = width - 1 if upper is None else place(upper)
    cells = [" "] * width
    cells[first : last + 1] = "─" * (last + 1 - first)
    cells[half] = "┼" if first <= half <= last else "│"
    cells[first] = "◂" if lower is None else "├"
    cells[last] = "▸" if upper is None else "┤"
    cells[place(value)] = "●"
    return "".join(cells)


def _plain(metric: str, value: float | None, without: str = "–") -> str:
    if value is None:
        return without
    if metric in _SHARES:
        return f"{value * 100:.2f} %"
    if metric == "latency":
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f}" if metric == "tokens" else f"{value:.3f}"


def _signed(metric: str, value: float | None, without: str = "–") -> str:
    if value is None:
        return without
    return f"{'−' if value < 0 else '+'}{_plain(metric, abs(value))}"


def _share(part: Callable[[Json], int]) -> Callable[[Json], str]:
    def cell(arm: Json) -> str:
        found = arm["outcomes"]
        count = part(found)
        share = f" ({count / found['requests'] * 100:.1f} %)" if found["requests"] else ""
        return f"{count}{share}"

    return cell


def _number(metric: str, group: str, field: str = "mean") -> Callable[[Json], str]:
    return lambda arm: _plain(metric, arm["outcomes"][group].get(field))


def _weight(arm: Json) -> str:
    return f"{arm['weight']} %{' resting' if arm['resting'] else ''}"


def _feedback(arm: Json) -> str:
    found = arm["outcomes"]["feedback"]
    return (
        f"{_plain('feedback', found['mean'])} ({found['up']} up, {found['down']} down)"
        if found["count"]
        else "–"
    )


_ROWS: tuple[tuple[str, Callable[[Json], str]], ...] = (
    ("role", lambda arm: str(arm["role"])),
    ("model", lambda arm: escape(arm["model_name"] or "base model")),
    ("weight", _weight),
    ("runs", lambda arm: str(arm["outcomes"]["requests"])),
    ("failed", _share(lambda found: int(found["errors"]["total"]))),
    ("blocked", _share(lambda found: int(found["blocks"]["total"]))),
    ("degraded", _share(lambda found: int(found["degraded"]))),
    ("cancelled", _share(lambda found: int(found["cancelled"]))),
    ("groundedness", _number("groundedness", "groundedness")),
    ("latency", _number("latency", "seconds")),
    ("  p95", _number("latency", "seconds", "p95")),
    ("  p99", _number("latency", "seconds", "p99")),
    ("tokens read", _number("tokens", "prompt_tokens")),
    ("tokens written", _number("tokens", "completion_tokens")),
    ("feedback", _feedback),
)
