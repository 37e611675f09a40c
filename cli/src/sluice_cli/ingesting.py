"""Documents on their way into a knowledge base, with progress."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sluice_cli import documents
from sluice_cli.client import Api
from sluice_cli.documents import Document, Unreadable
from sluice_cli.terminal import err

#: Small enough that progress moves every second or two where embedding runs on one core.
_BATCH, _BATCH_BYTES = 16, 32 << 10


@dataclass
class Ingested:
    """What became of the documents."""

    files: int
    accepted: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    """Of each that failed its `id` and the `reason`."""


def ingest_files(api: Api, knowledge_base: str, files: Sequence[Path]) -> Ingested:
    """Sends the files' documents in batches; what fails is collected and the rest goes on.

    Raises:
        CommandError: the gateway refuses a whole batch, or cannot be reached.
    """
    outcome = Ingested(len(files))
    with Progress(
        TextColumn("ingesting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files  {task.fields[accepted]} documents"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=len(files), accepted=0)

        def readable() -> Iterator[Document]:
            for index, file in enumerate(files):
                progress.update(task, completed=index)
                for document in documents.read(file):
                    if isinstance(document, Unreadable):
                        outcome.failed.append({"id": document.id, "reason": document.reason})
                    else:
                        yield document

        path = f"/v1/knowledge/{quote(knowledge_base, safe='')}/documents"
        for batch in documents.batches(readable(), _BATCH, _BATCH_BYTES):
            reply = api.post(path, {"documents": [document.body for document in batch]})
            outcome.accepted += reply["accepted"]
            outcome.failed += reply["failed"]
            progress.update(task, accepted=outcome.accepted)
    return outcome
