"""`sluice runs`: what the journal has of past questions."""

from typing import Annotated

import typer

from sluice_cli.client import DEFAULT_URL, Api, Target
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
    out.print(steps_table(run))
