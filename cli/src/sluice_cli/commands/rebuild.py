"""`sluice rebuild`: a knowledge base with another model or other settings."""

from typing import Annotated
from urllib.parse import quote

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sluice_cli import completing
from sluice_cli.client import DEFAULT_URL, Api, Json, Target
from sluice_cli.options import ApiKey, Tenant, Url
from sluice_cli.terminal import err, out


def rebuild(
    knowledge_base: Annotated[
        str, typer.Argument(help="The knowledge base.", autocompletion=completing.knowledge_bases)
    ] = "default",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Build a knowledge base anew with the embedding, dense, tokens and sparse settings that its object now has.

    All documents of all tenants are brought over; searches and ingestion go on meanwhile, and the new
    generation takes the old one's place at once. Needs the role admin. Broken off, it goes on where it was.
    """
    columns = (TextColumn("rebuilding"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Api(Target(url, api_key, tenant)) as api, Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        event: Json = {}
        for event in api.events(f"/v1/knowledge/{quote(knowledge_base, safe='')}/rebuild", {}):
            bar.update(task, completed=event["documents"], total=event["total_documents"])
    out.print(
        f"{knowledge_base}: {event['documents']} documents are in generation {event['generation']}",
        markup=False,
    )
