"""`sluice feedback`: what you say of an answer."""

from typing import Annotated

import typer
from rich.markup import escape

from sluice_cli.client import DEFAULT_URL, Api, Json, Target
from sluice_cli.errors import usage
from sluice_cli.options import ApiKey, Output, OutputFormat, RunId, Tenant, Url, prints_data
from sluice_cli.terminal import out, print_data


@prints_data
def feedback(
    run_id: RunId,
    rating: Annotated[
        str, typer.Argument(help="up, down, or 0 to 1.", autocompletion=lambda: ["up", "down"])
    ],
    comment: Annotated[
        str, typer.Option(help="Why; kept only where the pipeline keeps payloads.", show_default=False)
    ] = "",
    label: Annotated[
        list[str],
        typer.Option("--label", help="A word such as wrong-source. May be repeated.", show_default=False),
    ] = [],  # noqa: B006 - typer reads it, nobody changes it
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Rate an answer; rated again, the last time counts."""
    body: Json = {"run_id": run_id, "rating": _rating(rating), "comment": comment, "labels": label}
    with Api(Target(url, api_key, tenant)) as api:
        taken = api.post("/v1/feedback", body)
    if output is not OutputFormat.TABLE:
        print_data(taken, output)
        return
    arm = f" for the arm {taken['arm']} of {taken['experiment']}" if taken["arm"] else ""
    out.print(f"rated {taken['rating']:g}{escape(arm)}")
    if comment and not taken["comment_kept"]:
        out.print("[yellow]the comment was not kept: the run's pipeline or gateway keeps no payloads[/]")


def _rating(text: str) -> str | float:
    if text in ("up", "down"):
        return text
    try:
        return float(text)
    except ValueError:
        raise usage(f"{text!r} is no rating", "give up, down, or a number from 0 to 1") from None
