"""The tables and the plot."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from operating.world import Json

Row = tuple[str, str, str, str]

_MB = 1_000_000


def machine() -> str:
    """What it was measured on, in a line."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[1]
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Python {platform.python_version()}, "
        f"load of the last five minutes {load:.1f}"
    )


def show(measured: Json) -> None:
    """Prints the table."""
    sizes = measured["sizes"]
    title = (
        f"{sizes['adapters']} adapters on {sizes['pods']} pods of {sizes['slots']} slots, each on one pod, "
        f"{sizes['load_seconds'] * 1000:.0f} ms for a load"
    )
    table = Table(title=title)
    for name in ("what", "measured", "budget", ""):
        table.add_column(name)
    for row in rows(measured):
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(measured["machine"], highlight=False)
    if "stopped" in measured:
        console.print(f"It stopped early: {measured['stopped']}.", markup=False)


def rows(measured: Json) -> list[Row]:
    """What was measured, beside the budgets."""
    load = measured["sizes"]["load_seconds"]
    found: list[Row] = []
    if settled := measured.get("settled"):
        seconds, whole = settled["seconds"], settled["ready"] == settled["of"]
        budget = 60.0 if settled["of"] >= 1000 else None
        text = f"{seconds:.1f} s" if whole else f"{settled['ready']} of {settled['of']} in {seconds:.0f} s"
        found += [
            _row(
                "all are ready, after the first is applied", text, budget and "< 60 s", seconds < 60 and whole
            ),
            ("of that, applying them", f"{settled['applying_seconds']:.1f} s", "", ""),
            ("CPU of the operator for each", f"{settled['cpu'] / settled['of'] * 1000:.1f} ms", "", ""),
            ("passes for each", f"{settled['passes'] / settled['of']:.1f}", "", ""),
            ("API calls for each", _calls(settled["calls"], settled["of"]), "", ""),
            ("memory of the operator then", _mb(settled["rss"]), "", ""),
        ]
    if singles := measured.get("singles"):
        beyond = sorted(max(seconds - load, 0.0) for seconds in singles)
        p99 = percentile(beyond, 99)
        text = ", ".join(f"{percentile(beyond, which) * 1000:.0f}" for which in (50, 95, 99))
        found.append(
            _row("one is applied → ready, beyond its load: p50, p95, p99", f"{text} ms", "p99 < 2 s", p99 < 2)
        )
    if replaced := measured.get("replaced"):
        last = sorted(each["seconds"][-1] for each in replaced if each["seconds"])
        count = sum(each["adapters"] for each in replaced) / len(replaced)
        if last:
            text = f"{percentile(last, 50):.1f}, {last[-1]:.1f} s"
            found.append((f"a pod is replaced → its {count:.0f} adapters are back: p50, most", text, "", ""))
    if idle := measured.get("idle"):
        found.append(
            ("CPU of the idle operator in a minute", f"{idle['cpu'] * 60 / idle['seconds']:.1f} s", "", "")
        )
    if passes := measured.get("passes"):
        of = max(passes["passes"], 1)
        text = f"{passes['writes'] / of:.3f}, of {passes['passes']:.0f}"
        found += [
            _row("API writes of an idle pass", text, "0", passes["writes"] == 0),
            ("API reads of an idle pass", f"{passes['reads'] / of:.3f}", "", ""),
        ]
    if restarted := measured.get("restarted"):
        text = f"{restarted['seconds']:.1f} s, {restarted['writes']} writes"
        found.append((f"restart until all {restarted['objects']} have had a pass", text, "", ""))
    if filled := measured.get("filled"):
        found.append(
            _row(
                f"memory of the operator with {filled['objects']} objects",
                _mb(filled["rss"]),
                "≤ 400 MB",
                filled["rss"] <= 400 * _MB,
            )
        )
    return found


def plot(measured: Json, path: Path) -> None:
    """Adapters ready over time."""
    curve = (measured.get("settled") or {}).get("curve")
    if not curve:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    axes.step([0.0, *curve], range(len(curve) + 1), where="post")
    axes.axvline(
        measured["settled"]["applying_seconds"], linestyle=":", color="grey", label="all are applied"
    )
    axes.set_xlabel("seconds after the first is applied")
    axes.set_ylabel("adapters ready")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def percentile(ordered: Sequence[float], which: float) -> float:
    """The smallest value that so many percent of the values do not exceed."""
    index = max(0, -(-len(ordered) * which // 100) - 1)
    return ordered[int(index)]


def _row(what: str, text: str, budget: str | None, kept: bool) -> Row:  # noqa: FBT001 - a cell
    return what, text, budget or "", "" if not budget else "kept" if kept else "missed"


def _calls(calls: Json, of: int) -> str:
    most = sorted(calls.items(), key=lambda item: -item[1])[:4]
    return ", ".join(f"{count / of:.2f} {name}" for name, count in most if count >= of / 100)


def _mb(count: int) -> str:
    return f"{count / _MB:.0f} MB"
