"""`sluice quickstart`: the whole loop on the project's own documentation."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sluice_cli import documents, exits
from sluice_cli.client import Api, Target
from sluice_cli.commands.ask import explain
from sluice_cli.commands.ingest import report, run
from sluice_cli.conversing import Answer, converse
from sluice_cli.errors import CommandError, usage
from sluice_cli.ingesting import Ingestion
from sluice_cli.options import DEFAULT_DATA, Data
from sluice_cli.supervising import interrupting
from sluice_cli.supervising.ports import free_address, is_taken
from sluice_cli.terminal import err, out

_OBJECTS = Path("examples/quickstart")
_QUESTION = "What happens when the input gate blocks a run?"
_LISTEN = "127.0.0.1:8080"


def quickstart(
    exit_after: Annotated[bool, typer.Option("--exit", help="Stop after the answer.")] = False,
    question: Annotated[str, typer.Option(help="What to ask.")] = _QUESTION,
    data: Data = DEFAULT_DATA,
) -> None:
    """Start everything, ingest README and docs, answer a question, keep serving. Run it in the project's folder."""
    if not _OBJECTS.is_dir():
        raise usage(f"there is no {_OBJECTS} here", "run this in the folder of the project")
    if interrupting.run(_quickstart(data, question, exit_after=exit_after)) and exit_after:
        raise typer.Exit(exits.INTERRUPTED)


async def _quickstart(data: Path, question: str, *, exit_after: bool) -> None:
    from sluice_cli.supervising.supervisor import UpOptions, supervising  # see `up`

    listen = _LISTEN
    if is_taken(listen):
        listen = free_address()
        err.print(f"[yellow]{_LISTEN} is taken; serving on {listen} instead[/]")
    err.print("starting the services …")
    async with supervising(UpOptions([_OBJECTS], data, listen)) as supervisor:
        answer = await asyncio.to_thread(_tour, supervisor.url, question)
        if answer.finish_reason != "stop":
            raise CommandError(f"the question was not answered: {answer.finish_reason}")
        if not exit_after:
            out.print()
            out.print(f"Serving on [bold]{supervisor.url}/v1[/] until Ctrl-C. In another terminal:")
            url = "" if listen == _LISTEN else f" --url {supervisor.url}"
            out.print(f'  .venv/bin/sluice ask "How does the journal detect an edited row?"{url}')
            await supervisor.given_up()


def _pages() -> list[Path]:
    """What people read. The reference in a folder of its own is tables, of which a question finds too much."""
    return [Path("README.md"), *sorted(Path("docs").glob("*.md")), *sorted(Path("docs").glob("adr"))]


def _tour(url: str, question: str) -> Answer:
    with Api(Target(url)) as api:
        found = documents.find(_pages())
        outcome = run(Ingestion(api, "default", found), found)
        report(outcome, "default")
        if outcome.failed:
            raise CommandError("the documentation was not ingested")
        out.print(f"\n[bold]{escape(question)}[/]\n")
        answer = converse(api, question, {"model": "default"}, quiet=False)
        explain(answer, api.get(f"/v1/runs/{answer.sluice['run_id']}"), out)
    return answer
