"""The operator against a test's API server: in this process, or as one of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sluice_operator.assembly import BuildKinds
from sluice_operator.process import operate
from sluice_operator.settings import OperatorSettings
from support.api_server import ApiServer

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0


def settings_for(server: ApiServer, namespace: str = "", **settings: Any) -> OperatorSettings:
    """Settings of an operator that looks after one namespace, or all, and tries again soon."""
    given = {"backoff_base_seconds": 0.2, "backoff_cap_seconds": 5.0} | settings
    return OperatorSettings(
        kubeconfig=str(server.kubeconfig), namespaces=(namespace,) if namespace else (), **given
    )


@asynccontextmanager
async def running_operator(
    server: ApiServer, build_kinds: BuildKinds, namespace: str = "", **settings: Any
) -> AsyncIterator[None]:
    """An operator for the length of the block; the block begins once it works.

    Args:
        build_kinds: What it is to look after, made of its own `Dependencies`.
        namespace: All of the cluster when empty.
        settings: Of `OperatorSettings`.
    """
    stop, ready = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(
        operate(settings_for(server, namespace, **settings), build_kinds, stop=stop, ready=ready)
    )
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({work, waiting}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        assert ready.is_set(), "the operator did not start in time"
        yield
    finally:
        waiting.cancel()
        stop.set()
        async with asyncio.timeout(_STOP_SECONDS):
            await work


@asynccontextmanager
async def operator_process(
    server: ApiServer, log: Path, module: str = "sluice_operator", **settings: Any
) -> AsyncIterator[asyncio.subprocess.Process]:
    """An operator as a process of its own, for the length of the block.

    Args:
        log: Where its standard error goes, as text.
        module: What `python -m` runs.
        settings: Of `OperatorSettings`, as strings of their variables.
    """
    variables = {f"SLUICE_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {
        **os.environ,
        "SLUICE_KUBECONFIG": str(server.kubeconfig),
        "SLUICE_LOG_FORMAT": "text",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        **variables,
    }
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *_command(module), env=environment, stderr=errors, stdin=asyncio.subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _command(module: str) -> Sequence[str]:
    return (sys.executable, "-m", module)
