"""`sluice documents`: what a knowledge base holds of the caller's."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sluice_cli import ingesting
from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.options import ApiKey, KnowledgeBase, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.terminal import err, out, print_data

app = typer.Typer(no_args_is_help=True, help="The documents of a knowledge base.")


@app.command("list")
@prints_data
def list_documents(
    kb: KnowledgeBase = "default",
    prefix: Annotated[str, typer.Option(help="Only ids that start so.", show_default=False)] = "",
    after: Annotated[str, typer.Option(help="Only ids after this one.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 100,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """List documents by id."""
    with Api(Target(url, api_key, tenant)) as api:
        found = api.get(ingesting.documents_path(kb), limit=limit, prefix=prefix, after=after)
    if output is not OutputFormat.TABLE:
        print_data(found, output)
        return
    table = Table("document", "chunks", "expires")
    table.columns[1].justify = "right"
    for document in found["documents"]:
        table.add_row(escape(document["id"]), str(document["chunks"]), document.get("expire_time", ""))
    out.print(table)
    if found["next"]:
        err.print(f"[dim]more: --after {found['next']!r}[/]", markup=True)


@app.command("delete")
def delete_documents(
    ids: Annotated[list[str], typer.Argument(help="The documents' ids.")],
    kb: KnowledgeBase = "default",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Remove documents by id.

    Exits 2 at the first id that there is not; those before it are removed.
    """
    with Api(Target(url, api_key, tenant)) as api:
        for name in ids:
            ingesting.delete(api, kb, name)
            out.print(f"removed {name}", markup=False)
