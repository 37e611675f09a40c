"""One process: started, watched, started again when it dies."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sluice_cli.supervising import launch

#: A process that exits with this code needs a person; starting it again would not help.
EXIT_CONFIGURATION = 2

#: Seconds before the first restart, and the longest pause.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
#: A process that lived this long is started again without a growing pause.
_HEALTHY_SECONDS = 10.0
#: A log is put aside when it has grown beyond this, at the start of a process.
_LOG_BYTES = 16 << 20


@dataclass(frozen=True)
class ChildSpec:
    """What to run."""

    name: str
    module: str
    """A Python module with a `__main__`."""
    environment: Mapping[str, str]
    log: Path
    address: str
    pass_fds: Sequence[int] = ()


@dataclass
class Child:
    """A process that is kept alive until it is stopped."""

    spec: ChildSpec
    changed: Callable[[], None]
    """Called after every start and end."""
    pid: int = 0
    restarts: int = 0
    has_served: bool = False
    """All processes were ready once: what has run before may run again."""
    _stopping: bool = field(default=False, init=False)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def keep_alive(self) -> int:
        """Runs until stopped. Gives the exit code: `EXIT_CONFIGURATION` where the first start shows that a person must
        change something."""
        pause = _FIRST_PAUSE
        while True:
            started = time.monotonic()
            code = await self._run_once()
            healthy = time.monotonic() - started >= _HEALTHY_SECONDS
            # A full disk, say, must not take the other processes along once they serve. How long it lived says nothing:
            # a busy machine takes many seconds to come to what is wrong.
            hopeless = code == EXIT_CONFIGURATION and self.restarts == 0 and not self.has_served
            if self._stopping or hopeless:
                return code
            pause = _FIRST_PAUSE if healthy else pause
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            self.restarts += 1

    async def stop(self, seconds: float) -> None:
        """Ends the process: gently, and after `seconds` not."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()

    def last_words(self, lines: int = 12) -> str:
        """The end of the log."""
        try:
            with self.spec.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    async def _run_once(self) -> int:
        if self._stopping:
            return 0
        _rotate(self.spec.log)
        with self.spec.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-SE",
                launch.__file__,
                str(os.getpid()),
                sys.executable,
                "-m",
                self.spec.module,
                env=dict(self.spec.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(self.spec.pass_fds),
                process_group=0,  # Ctrl-C is the supervisor's, which ends the processes in order
            )
        self._process = process
        self.pid = process.pid
        self.changed()
        code = await process.wait()
        self.pid = 0
        self.changed()
        return code


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
