"""How a batch goes on, for people: one line that is redrawn, on stderr."""

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sluice_cli.guarding import Screened
from sluice_cli.terminal import err


class Progress:
    """A bar over the bytes, beside it what was decided.

    Args:
        size: Bytes of all lines; None where they are not known.
    """

    def __init__(self, size: int | None) -> None:
        self._bar = Bar(
            TextColumn("screening"),
            BarColumn(),
            TextColumn("{task.fields[decided]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=err,
            transient=True,
        )
        self._task = self._bar.add_task("", total=size, decided="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, size: int, screened: Screened) -> None:
        """A line of so many bytes is through."""
        decided = ", ".join(f"{count} {action}" for action, count in screened.actions.most_common())
        self._bar.update(self._task, advance=size, decided=f"{screened.texts} texts: {decided}")
