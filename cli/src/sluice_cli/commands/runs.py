"""`sluice runs`: what the journal has of past questions."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.graph import run_graph
from sluice_cli.options import ApiKey, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.rendering import run_line, runs_table, steps_table
from sluice_cli.terminal import err, out, print_data

app = typer.Typer(no_args_is_help=True, help="Past runs and their steps.")


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


@app.command("show")
@prints_data
def show_run(
    run_id: Annotated[str, typer.Argument(help="The run's id.")],
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
    if graph:
        out.print(*run_graph(run, out.width, datetime.now(UTC)), sep="\n")
    else:
        out.print(steps_table(run))
