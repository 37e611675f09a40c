"""What an engine is."""

from collections.abc import AsyncGenerator
from typing import Protocol

from sluice_inference.domain.model import Finish, Task


class Engine(Protocol):
    """Writes answers."""

    def generate(self, task: Task) -> AsyncGenerator[str | Finish, None]:
        """The answer's pieces, then its end. Raises `ServiceError` where it cannot be written."""

    async def close(self) -> None:
        """Lets go of connections."""
