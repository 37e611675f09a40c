"""What the operator can have done: the store, vLLM and what is on its way, in one place."""

import re
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluice_inference.adapter_agent.counting import LOADS, counted
from sluice_inference.adapter_agent.engine import Engine, Models
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.resolving import Job, Progress, Resolving, Wanted
from sluice_inference.adapter_agent.store import Store, Stored
from sluice_inference.adapter_agent.turns import Turns
from sluice_servicekit.errors import ServiceError

#: A name that vLLM serves an adapter under; it stands in URLs, metrics and logs.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """An adapter is loaded."""

    before: bool
    """It was before it was asked for."""
    seconds: float
    """That vLLM took."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is here, what is loaded and what is on its way."""

    models: Models | None
    problem: ServiceError | None
    """Why vLLM cannot be asked."""
    stored: list[Stored]
    jobs: list[Job]
    failed: list[tuple[Wanted, ServiceError]]
    used: int
    budget: int


class Agent:
    """Every call can be repeated.

    Args:
        store: The adapters that are here.
        resolving: Those on their way.
        engine: vLLM.
        engine_dir: The store's folder, as vLLM sees it.
    """

    def __init__(self, store: Store, resolving: Resolving, engine: Engine, engine_dir: Path) -> None:
        self._store = store
        self._resolving = resolving
        self._engine = engine
        self._engine_dir = engine_dir
        self._turns = Turns()

    def resolve(self, wanted: Wanted, seconds: float) -> AsyncGenerator[Progress | Stored, None]:
        """Brings an adapter here; see `Resolving.resolve`."""
        return self._resolving.resolve(wanted, seconds)

    async def load(self, name: str, digest: str, config_digest: str) -> Loaded:
        """Loads an adapter that is here.

        Raises:
            ServiceError: it is not here (`ADAPTER_MISSING`), or vLLM does not take it.
        """
        _check(name)
        stored = self._store.find(digest, config_digest) if digest and config_digest else None
        if stored is None:
            raise failure(
                Reason.ADAPTER_MISSING, f"the adapter {digest} is not here (any more); resolve it first"
            )
        with self._store.pinned(stored), counted(LOADS, "load"):
            async with self._turns.of(name):
                started = time.monotonic()
                is_new = await self._engine.load(name, self.path(stored))
                return Loaded(not is_new, time.monotonic() - started if is_new else 0.0)

    async def unload(self, name: str) -> bool:
        """Unloads an adapter; False where it was not loaded.

        Raises:
            ServiceError: vLLM does not let go of it, or cannot be asked.
        """
        _check(name)
        async with self._turns.of(name):
            with counted(LOADS, "unload"):
                path = await self._engine.unload(name)
        if stored := self.stored_at(path):
            self._store.use(stored)  # a request that was asked before may have vLLM read the folder once more
        return bool(path)

    async def status(self) -> Status:
        """All there is to know; vLLM is asked once, and it is no error where it does not answer."""
        models, problem = None, None
        try:
            models = await self._engine.models()
        except ServiceError as error:
            problem = error
        return Status(
            models,
            problem,
            self._store.stored,
            self._resolving.jobs,
            self._resolving.failed,
            self._store.used,
            self._store.budget,
        )

    def path(self, stored: Stored) -> str:
        """An adapter's folder, as vLLM sees it."""
        return str(self._engine_dir / stored.folder)

    def stored_at(self, path: str) -> Stored | None:
        """The adapter in a folder that vLLM sees; None where it is none of the agent's."""
        folder, _, _ = path.rstrip("/").rpartition("/")
        return self._store.by_path(path) if Path(folder) == self._engine_dir else None


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise failure(
            Reason.NAME_INVALID, f"{name[:80]!r} is no name: letters, digits, dots, dashes and underscores"
        )
