"""How an ingestion goes on, for people: one line that is redrawn, on stderr."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sluice_cli.terminal import err

if TYPE_CHECKING:
    from sluice_cli.ingesting import Ingested

_NAME_CHARACTERS = 40
#: Chunks from which a document takes several seconds.
_LARGE = 128


class Progress:
    """A bar over the bytes, beside it documents, failures and what takes long now. Thread-safe.

    Args:
        sources: What they come from, in words.
        size: Bytes of all.
    """

    def __init__(self, sources: str, size: int) -> None:
        self._bar = Bar(
            TextColumn("ingesting"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[documents]} documents of {task.fields[sources]}{task.fields[failed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[now]}", style="dim"),
            console=err,
            transient=True,
        )
        self._task = self._bar.add_task(
            "", total=max(1, size), sources=sources, documents=0, failed="", now=""
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, size: int, outcome: "Ingested") -> None:
        """A document of so many bytes is through."""
        failed = f", [red]{len(outcome.failed)} failed[/]" if outcome.failed else ""
        self._bar.update(self._task, advance=size, documents=outcome.accepted, failed=failed, now="")

    def part(self, name: str, chunks: int, total: int) -> None:
        """So many chunks of a document are stored; shown where it is a large one."""
        if total < _LARGE:
            return
        self._bar.update(self._task, now=escape(f"{name[-_NAME_CHARACTERS:]}: {chunks} of {total} chunks"))

    def waiting(self) -> None:
        """The gateway is away."""
        self._bar.update(self._task, now="waiting for the gateway to come back …")
