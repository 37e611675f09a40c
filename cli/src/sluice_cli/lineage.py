"""Where a run comes from, which arm it went to, and what was made of it, in lines. Pure."""

from rich.markup import escape

from sluice_cli.client import Json

_FROM = {
    "forked": "forked from {run_id}, from {step} on",
    "overridden": "goes on from {step} of {run_id}, whose decision was turned",
    "promoted": "goes on with {run_id}, which failed at {step}",
}


def lineage_lines(run: Json) -> list[str]:
    """One line for its arm, and one for each run that this one has to do with."""
    lines = []
    if arm := run.get("arm"):
        lines.append(f"arm {escape(arm)} of {escape(run['experiment'])}")
    if run.get("resumed"):
        lines.append(f"went on {run['resumed']} times" if run["resumed"] > 1 else "went on once")
    if origin := run.get("origin"):
        how = _FROM.get(origin["how"], "made of {run_id}, from {step} on")
        lines.append(how.format(run_id=origin["run_id"], step=escape(origin["from_step"])))
    return lines + [_descendant(made) for made in run.get("descendants", ())]


def _descendant(made: Json) -> str:
    who = f" by {escape(made['actor'])}" if made["actor"] else ""
    step, run_id = escape(made["step"]), made["run_id"]
    if made["how"] == "overridden":
        return f"{step} turned into {made['decision']}{who}: {escape(made['reason'])}  -> run {run_id}"
    return f"{made['how']} from {step}{who}  -> run {run_id}"
