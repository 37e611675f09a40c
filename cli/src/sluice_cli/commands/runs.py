"""`sluice runs`: what the journal has of past questions."""

from typing import Annotated

import typer

from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.options import ApiKey, AsJson, Tenant, Url
from sluice_cli.rendering import finding_lines, run_line, runs_table, steps_table
from sluice_cli.terminal import err, out, print_json

app = typer.Typer(no_args_is_help=True, help="Past runs and their steps.")


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    before: Annotated[str, typer.Option(help="Only runs before this one.", show_default=False)] = "",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    json: AsJson = False,
) -> None:
    """List the newest runs."""
    with Api(Target(url, api_key, tenant)) as api:
        found = api.get("/v1/runs", limit=limit, **({"before": before} if before else {}))
    if json:
        print_json(found)
        return
    out.print(runs_table(found["runs"]))
    if found["next"]:
        err.print(f"[dim]older ones: --before {found['next']}[/]")


@app.command("show")
def show_run(
    run_id: Annotated[str, typer.Argument(help="The run's id.")],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    json: AsJson = False,
) -> None:
    """Show a run step by step."""
    with Api(Target(url, api_key, tenant)) as api:
        run = api.get(f"/v1/runs/{run_id}")
    if json:
        print_json(run)
        return
    out.print(run_line(run))
    out.print(steps_table(run))
    for line in finding_lines(run):
        out.print(line)
