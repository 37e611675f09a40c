"""`sluice experiments`: arms, what became of their runs, and how sure their difference is."""

from typing import Annotated

import typer
from rich.markup import escape

from sluice_cli import completing
from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.experimenting import (
    arms_table,
    comparison_lines,
    experiments_table,
    guard_metrics_table,
    suggestion_line,
)
from sluice_cli.options import ApiKey, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.terminal import out, print_data

app = typer.Typer(no_args_is_help=True, help="Experiments and their arms; for admins.")

Name = Annotated[
    str, typer.Argument(help="The AdapterExperiment's name.", autocompletion=completing.experiments)
]


@app.command("list")
@prints_data
def list_experiments(
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """List the experiments in force."""
    with Api(Target(url, api_key, tenant)) as api:
        found = api.get("/v1/experiments")
    if output is not OutputFormat.TABLE:
        print_data(found, output)
        return
    out.print(experiments_table(found["experiments"]))


@app.command("show")
@prints_data
def show_experiment(
    name: Name,
    since: Annotated[
        str, typer.Option(help="Only runs since then: 24h, or 2027-01-31T12:00:00Z.", show_default=False)
    ] = "",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show what an experiment has shown so far.

    Intervals hold at all looks together, with 95 % or as `verdict.alpha` of the experiment says: look as often as you
    like.
    """
    with Api(Target(url, api_key, tenant)) as api:
        found = api.get(f"/v1/experiments/{name}", **({"since": since} if since else {}))
    if output is not OutputFormat.TABLE:
        print_data(found, output)
        return
    split = f"{found['model_name']} of {found['model_server']}, by {found['unit']}"
    verdict = f"  [green]promoted: {escape(found['promoted'])}[/]" if found["promoted"] else ""
    out.print(f"[bold]{escape(found['name'])}[/]  {escape(split)}{verdict}")
    out.print(arms_table(found["arms"]))
    for line in comparison_lines(found, out.width):
        out.print(line)
    if found["guard_metrics"]:
        out.print(guard_metrics_table(found["guard_metrics"]))
    out.print(suggestion_line(found))
