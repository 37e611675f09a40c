"""Brings the policies of each snapshot into force, and those that wait for a module once it is there."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from watchfiles import awatch

from sluice_api.snapshot import Snapshot
from sluice_guardrail.domain.checks import Policy
from sluice_guardrail.policies import Policies

_LOG = logging.getLogger(__name__)

#: Seconds after which a folder that is not there is looked for again.
_ABSENT_SECONDS = 5.0
#: Milliseconds without a change after which a folder is taken to be settled: a file is copied, links are replaced.
_SETTLED_MS = 200
#: Milliseconds after which a folder counts as changed anyway: some file systems tell of nothing.
_QUIET_MS = 30_000


class PolicyUpdates:
    """One update at a time: each is prepared in a thread, then swapped in."""

    def __init__(
        self,
        policies: Policies,
        report: Callable[[Iterable[str]], None],
        keep: Callable[[Mapping[str, Policy]], None],
    ) -> None:
        self._policies = policies
        self._report = report
        self._keep = keep
        self._updating = asyncio.Lock()
        self._wanted = Snapshot()

    async def apply(self, snapshot: Snapshot) -> None:
        """Takes over the policies of a snapshot, as far as they may serve."""
        async with self._updating:
            self._wanted = snapshot
            await self._update()

    async def retry(self) -> None:
        """Tries again what was refused."""
        async with self._updating:
            if self._policies.refused:
                await self._update()

    async def _update(self) -> None:
        self._policies.swap(await asyncio.to_thread(self._policies.prepare, self._wanted))
        await asyncio.to_thread(self._keep, self._policies.in_force)
        self._report(f"GuardrailPolicy {name}: {reason}" for name, reason in self._policies.refused.items())


async def watch(folder: Path, changed: Callable[[], Awaitable[None]]) -> None:
    """Calls `changed` for ever, after each change in a folder, which need not be there yet."""
    while True:
        await changed()
        if await asyncio.to_thread(folder.is_dir):
            try:
                async for _ in awatch(
                    folder, watch_filter=None, step=_SETTLED_MS, rust_timeout=_QUIET_MS, yield_on_timeout=True
                ):
                    await changed()
            except OSError as error:  # gone again
                _LOG.info("the modules folder cannot be watched: %s", error)
        await asyncio.sleep(_ABSENT_SECONDS)
