"""A process that is kept alive."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice_cli.supervising import child as module
from sluice_cli.supervising import child as supervised
from sluice_cli.supervising.child import EXIT_CONFIGURATION, Child, ChildSpec


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Child]:
    """A child that runs a script."""
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.01)

    def make(script: str) -> Child:
        (tmp_path / "script.py").write_text(script)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return Child(
            ChildSpec("script", "script", environment, tmp_path / "log", "127.0.0.1:1"), lambda: None
        )

    return make


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - a file and a counter have no event
            await asyncio.sleep(0.01)


async def test_dead_process_is_started_again(make: Callable[[str], Child]):
    child = make("raise SystemExit(1)")
    keeping = asyncio.create_task(child.keep_alive())
    await _until(lambda: child.restarts >= 2)
    await child.stop(5)
    await asyncio.wait_for(keeping, 5)


async def test_wrong_configuration_at_the_first_start_is_final(make: Callable[[str], Child]):
    child = make(f"import sys; print('no such key', file=sys.stderr); raise SystemExit({EXIT_CONFIGURATION})")
    assert await asyncio.wait_for(child.keep_alive(), 20) == EXIT_CONFIGURATION
    assert child.last_words() == "no such key"


async def test_wrong_configuration_is_final_however_long_the_first_start_took(
    make: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervised, "_HEALTHY_SECONDS", 0.0)
    child = make(f"raise SystemExit({EXIT_CONFIGURATION})")
    assert await asyncio.wait_for(child.keep_alive(), 20) == EXIT_CONFIGURATION


async def test_what_has_served_is_started_again_whatever_it_says(make: Callable[[str], Child]):
    child = make(f"raise SystemExit({EXIT_CONFIGURATION})")
    child.has_served = True
    keeping = asyncio.create_task(child.keep_alive())
    await _until(lambda: child.restarts >= 2)
    await child.stop(5)
    await asyncio.wait_for(keeping, 5)


async def test_what_has_run_before_is_started_again_whatever_it_says(
    make: Callable[[str], Child], tmp_path: Path
):
    flag = tmp_path / "flag"
    child = make(
        "import pathlib\n"
        f"flag = pathlib.Path({str(flag)!r})\n"
        "first = not flag.exists()\nflag.touch()\n"
        f"raise SystemExit(1 if first else {EXIT_CONFIGURATION})"
    )
    keeping = asyncio.create_task(child.keep_alive())
    await _until(lambda: child.restarts >= 3)
    assert not keeping.done()
    await child.stop(5)
    await asyncio.wait_for(keeping, 5)


async def test_stop_is_gentle_then_not(make: Callable[[str], Child], tmp_path: Path):
    ready = tmp_path / "ready"
    child = make(
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(60)"
    )
    keeping = asyncio.create_task(child.keep_alive())
    await _until(ready.exists)
    await child.stop(0.2)
    assert await asyncio.wait_for(keeping, 5) == -signal.SIGKILL


async def test_process_sees_no_terminal_and_its_output_is_in_the_log(make: Callable[[str], Child]):
    child = make("import sys; print(sys.stdin.read() == '', flush=True); raise SystemExit(2)")
    await asyncio.wait_for(child.keep_alive(), 20)
    assert child.last_words() == "True"
