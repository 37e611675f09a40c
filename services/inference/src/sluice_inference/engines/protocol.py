"""What an engine is."""

from collections.abc import AsyncGenerator
from typing import Protocol

from sluice_inference.domain.model import Delta, Finish, Prepared, Rewriting, Rewritten, Task


class Engine(Protocol):
    """Writes answers, and rewrites questions where it has a model to do so."""

    def generate(self, task: Task) -> AsyncGenerator[Prepared | Delta | Finish, None]:
        """What the model reads, where that is not all, the answers' pieces, then the end. Raises `ServiceError` where
        it cannot be written."""

    async def rewrite(self, task: Rewriting) -> Rewritten:
        """A question made to stand alone. Raises `ServiceError`, of reason `REWRITE_UNSUPPORTED` where it never can."""

    async def retire(self) -> None:
        """Lets go of connections once nothing is in flight any more."""

    async def close(self) -> None:
        """Lets go of connections."""
