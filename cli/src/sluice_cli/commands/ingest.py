"""`sluice ingest`: files and URLs into a knowledge base."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sluice_cli import documents, exits
from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.errors import CommandError, usage
from sluice_cli.ingesting import Ingested, Ingestion, delete, ids_below
from sluice_cli.ingestion_progress import Progress
from sluice_cli.options import ApiKey, KnowledgeBase, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.terminal import err, out, print_data
from sluice_cli.urls import is_url, listed

#: Failures that are listed one by one; --json has all of them.
_LISTED = 30


@prints_data
def ingest(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders and URLs: Markdown, text, HTML, PDF, DOCX, CSV; files of JSON lines.",
            show_default=False,
        ),
    ] = None,
    kb: KnowledgeBase = "default",
    urls: Annotated[
        Path | None,
        typer.Option(help="Also the URLs in this file, one a line; - for stdin.", allow_dash=True),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE for every document; the value as JSON, else as text. May be repeated."),
    ] = None,
    metadata_file: Annotated[
        Path | None,
        typer.Option(help="YAML or JSON that maps patterns of ids to metadata, acl and ttl."),
    ] = None,
    acl: Annotated[
        list[str] | None,
        typer.Option(help="Only those with this name see the documents. May be repeated."),
    ] = None,
    ttl: Annotated[
        str, typer.Option(help="Keep the documents for so long, such as 30d.", show_default=False)
    ] = "",
    prune: Annotated[
        bool, typer.Option(help="Also remove the documents below these folders whose files are gone.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Put files and what URLs name into a knowledge base; what is known and has changed is replaced.

    The server fetches URLs, where it may. What a JSON line says of itself goes before the options.

    What cannot be read is named and left out, and the rest goes on. Broken off, the same command goes on where it
    stopped.

    Exits 0 when all were accepted, 1 when some were not, 2 when there is nothing to ingest.
    """
    from sluice_cli.label_options import labelling  # see there

    paths = [Path(source) for source in sources or () if not is_url(source)]
    named = [source for source in sources or () if is_url(source)]
    prefixes = _prefixes(paths) if prune else []
    found = documents.find(paths, [*named, *(_listed(urls) if urls else ())])
    labels = labelling(metadata_file, metadata or (), acl or (), ttl)
    with Api(Target(url, api_key, tenant)) as api:
        ingestion = Ingestion(api, kb, found, labels)
        ingestion.check()
        try:
            outcome = run(ingestion, found)
        except KeyboardInterrupt:
            report(ingestion.outcome, kb, output)
            err.print("stopped; the same command goes on from here")
            raise typer.Exit(exits.INTERRUPTED) from None
        except CommandError as error:
            report(ingestion.outcome, kb, output)
            hint = error.hint or "the same command goes on from here"
            raise CommandError(error.message, hint, error.code) from error
        outcome.removed = _prune(api, kb, prefixes, found, outcome)
    report(outcome, kb, output)
    if outcome.failed:
        raise CommandError(f"{len(outcome.failed)} documents were not accepted")


def run(ingestion: Ingestion, found: documents.Found) -> Ingested:
    """Ingests, showing how it goes on."""
    with Progress(documents.counted(len(found.files), len(found.urls)), found.size) as progress:
        return ingestion.run(progress)


def report(outcome: Ingested, knowledge_base: str, output: OutputFormat = OutputFormat.TABLE) -> None:
    """Says what became of the documents."""
    if output is not OutputFormat.TABLE:
        print_data(asdict(outcome), output)
        return
    for failure in outcome.failed[:_LISTED]:
        err.print(f"[red]not accepted:[/] {escape(failure['id'])}: {escape(failure['reason'])}")
    if len(outcome.failed) > _LISTED:
        err.print(f"[red]not accepted:[/] {len(outcome.failed) - _LISTED} more; --json lists them all")
    _warn(outcome)
    if outcome.left_out:
        err.print(f"[dim]left out, of kinds that cannot be ingested: {_kinds(outcome)}[/]")
    sources = documents.counted(outcome.files, outcome.urls)
    out.print(f"{outcome.accepted} documents of {sources} are in {escape(knowledge_base)}")
    if outcome.removed:
        out.print(f"{outcome.removed} documents whose files are gone were removed")
    stored = outcome.accepted - outcome.unchanged
    rate = f", {outcome.chunks / outcome.seconds:.1f} chunks/s" if outcome.chunks and outcome.seconds else ""
    err.print(
        f"[dim]{stored} stored in {outcome.chunks} chunks, {outcome.unchanged} unchanged,"
        f" {len(outcome.failed)} failed; {outcome.seconds:.1f} s{rate}[/]"
    )


def _warn(outcome: Ingested) -> None:
    """Says what in the documents tries to instruct a model, and what nobody has looked at."""
    for flag in outcome.flags[:_LISTED]:
        span = flag["span"]
        place = f"characters {span[0]} to {span[1]} of" if span else "the title of"
        err.print(
            f"[yellow]flagged:[/] {escape(flag['id'])}: {escape(flag['category'])} ({flag['score']:.2f}), {place} chunk"
            f" {escape(flag['chunk_id'])}; policy {escape(flag['policy'])}: {flag['decision']}"
        )
    if len(outcome.flags) > _LISTED:
        err.print(f"[yellow]flagged:[/] {len(outcome.flags) - _LISTED} more; --json lists them all")
    if outcome.unscreened:
        reasons = ", ".join(sorted({each["reason"] for each in outcome.unscreened}))
        err.print(
            f"[yellow]not screened:[/] {len(outcome.unscreened)} documents ({escape(reasons)}); they are screened when"
            " they are retrieved"
        )


def _listed(file: Path) -> list[str]:
    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    return listed(text.splitlines(), str(file))


def _kinds(outcome: Ingested) -> str:
    return escape(documents.kinds(Counter(outcome.left_out)))


def _prefixes(paths: Sequence[Path]) -> list[str]:
    """What the ids of the documents below the folders start with."""
    prefixes = [f"{documents.document_id(path)}/" for path in paths if path.is_dir()]
    if "./" in prefixes:
        raise usage(
            "--prune cannot tell the working folder's documents from others", "name the folders below it"
        )
    return prefixes


def _prune(api: Api, kb: str, prefixes: Sequence[str], found: documents.Found, outcome: Ingested) -> int:
    kept = {documents.document_id(file) for file in found.files} | {each["id"] for each in outcome.failed}
    gone = {
        name
        for prefix in prefixes
        for name in ids_below(api, kb, prefix)
        if name not in kept and name.rpartition(":")[0] not in kept  # a line of JSON lines
    }
    for name in sorted(gone):
        delete(api, kb, name)
    return len(gone)
