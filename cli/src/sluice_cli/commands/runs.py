"""`sluice runs`: what the journal has of past questions, and runs in the background."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from rich.markup import escape

from sluice_cli.client import DEFAULT_URL, Api, Params, Target
from sluice_cli.commands import run_control
from sluice_cli.graph import run_graph
from sluice_cli.lineage import lineage_lines
from sluice_cli.options import ApiKey, Model, Output, OutputFormat, RunId, Tenant, Url, prints_data
from sluice_cli.rendering import (
    change_line,
    evidence_lines,
    finding_lines,
    gates_table,
    origin_lines,
    run_line,
    runs_table,
    shadow_lines,
    steps_table,
)
from sluice_cli.tailing import STATES, follow_runs
from sluice_cli.terminal import err, out, print_data, print_item

_EVENTS = "/v1/runs/events"

app = typer.Typer(no_args_is_help=True, help="Runs and their steps.")


@app.command("list")
@prints_data
def list_runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    before: Annotated[str, typer.Option(help="Only runs before this one.", show_default=False)] = "",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """List the newest runs."""
    with Api(Target(url, api_key, tenant)) as api:
        found = api.get("/v1/runs", limit=limit, **({"before": before} if before else {}))
    if output is not OutputFormat.TABLE:
        print_data(found, output)
        return
    out.print(runs_table(found["runs"]))
    if found["next"]:
        err.print(f"[dim]older ones: --before {found['next']}[/]")


@app.command("tail")
@prints_data
def tail_runs(
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, max=1000, help="How many past ones first.")
    ] = 10,
    model: Model = "",
    state: Annotated[
        list[str],
        typer.Option(
            help="Only runs that end so. May be repeated.", show_default=False, autocompletion=lambda: STATES
        ),
    ] = [],  # noqa: B006 - typer reads it, nobody changes it
    all_states: Annotated[bool, typer.Option("--all-states", help="Runs as they start, too.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Follow runs as they end, until Ctrl-C; over restarts of the gateway, too.

    JSON is one line for each run, YAML one document.
    """
    states = [*state, *(STATES if all_states else ())]
    params: Params = {"last": last, "model": model, "state": states}
    with Api(Target(url, api_key, tenant)) as api:
        for run in follow_runs(partial(api.follow, _EVENTS, params), _say):
            if output is OutputFormat.TABLE:
                out.print(change_line(run))
            else:
                print_item(run, output)


@app.command("show")
@prints_data
def show_run(
    run_id: RunId,
    graph: Annotated[bool, typer.Option("--graph", help="Draw the steps on one scale of time.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show a run step by step."""
    with Api(Target(url, api_key, tenant)) as api:
        run = api.get(f"/v1/runs/{run_id}")
    if output is not OutputFormat.TABLE:
        print_data(run, output)
        return
    out.print(run_line(run))
    for line in lineage_lines(run):
        out.print(line)
    if graph:
        out.print(*run_graph(run, out.width, datetime.now(UTC)), sep="\n")
    else:
        out.print(steps_table(run))
    detectors = gates_table(run)
    if detectors is not None:
        out.print(detectors)
    for line in (*origin_lines(run), *evidence_lines(run), *shadow_lines(run), *finding_lines(run)):
        out.print(line)


def _say(news: str) -> None:
    err.print(f"[yellow]{escape(news)}[/]")


run_control.add_to(app)
