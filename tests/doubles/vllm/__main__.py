"""`python -m doubles.vllm --port 8100 --max-loras 2`: a double as a process, with vLLM's own options by their names.

Prints its URL once it serves; ends on SIGINT or SIGTERM. Adapters' folders are looked at, unless `--believe-paths`.
"""

import argparse
import asyncio
import signal
from collections.abc import Sequence
from dataclasses import fields

from doubles.vllm import Settings, Vllm, believing


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says: one option for each of `Settings`, and how it is served and goes wrong."""
    parser = argparse.ArgumentParser(prog="python -m doubles.vllm", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--believe-paths", action="store_true", help="load any folder, there or not")
    parser.add_argument("--slow-load", action="append", default=[], metavar="FOLDER=SECONDS")
    parser.add_argument("--failing-load", action="append", default=[], metavar="FOLDER=MESSAGE")
    for each in fields(Settings):
        option = f"--{each.name.replace('_', '-')}"
        if each.type in (bool, "bool"):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=each.default)
        else:
            parser.add_argument(option, type=type(each.default), default=each.default)
    return parser.parse_args(given)


def made(options: argparse.Namespace) -> Vllm:
    """The server that the options describe."""
    settings = Settings(**{each.name: getattr(options, each.name) for each in fields(Settings)})
    read = believing if options.believe_paths else None
    server = Vllm(settings, read=read, host=options.host, port=options.port)
    slow = (each.rpartition("=") for each in options.slow_load)
    failing = (each.partition("=") for each in options.failing_load)
    server.faults.slow_loads = {folder: float(seconds) for folder, _, seconds in slow}
    server.faults.failing_loads = {folder: message for folder, _, message in failing}
    return server


async def _serve(options: argparse.Namespace) -> None:
    ending = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, ending.set)
    async with made(options) as server:
        print(server.url, flush=True)  # noqa: T201
        waits = {asyncio.create_task(event.wait()) for event in (ending, server.died)}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(server.died.is_set())  # it is asked how it is for a moment more


if __name__ == "__main__":
    asyncio.run(_serve(arguments()))
