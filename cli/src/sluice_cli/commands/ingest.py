"""`sluice ingest`: files into a knowledge base."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sluice_cli import documents
from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.errors import CommandError
from sluice_cli.ingesting import Ingested, ingest_files
from sluice_cli.options import ApiKey, KnowledgeBase, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.terminal import err, out, print_data


@prints_data
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders: Markdown, text, JSON lines.")],
    kb: KnowledgeBase = "default",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Put files into a knowledge base; those that are known are replaced.

    Exits 0 when all were accepted, 1 when some were not, 2 when there is nothing to ingest.
    """
    files = documents.find(paths)
    with Api(Target(url, api_key, tenant)) as api:
        outcome = ingest_files(api, kb, files)
    report(outcome, kb, output)
    if outcome.failed:
        raise CommandError(f"{len(outcome.failed)} documents were not accepted")


def report(outcome: Ingested, knowledge_base: str, output: OutputFormat = OutputFormat.TABLE) -> None:
    """Says what became of the documents."""
    if output is not OutputFormat.TABLE:
        print_data(asdict(outcome), output)
        return
    for failure in outcome.failed:
        err.print(f"[red]not accepted:[/] {escape(failure['id'])}: {escape(failure['reason'])}")
    out.print(f"{outcome.accepted} documents of {outcome.files} files are in {escape(knowledge_base)}")
