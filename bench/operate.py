"""The operator at scale: a real API server, pods with agents whose engines are doubles, and a thousand adapters.

    .venv/bin/python bench/operate.py
    .venv/bin/python bench/operate.py --adapters 100 --pods 10 --objects 500    # a quick look

API server with etcd, pods, operator and this client share the machine, in processes of their own: on two cores they
wait for each other. What is measured is told by the operator's process, the API server's audit log, and a watch stream.
"""

import argparse
import asyncio
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from operating import report, stages  # noqa: E402 - tests' folder is no package
from operating.ready import watched  # noqa: E402
from operating.world import Json, Sizes, World  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: E402

from support import api_server  # noqa: E402

#: Passes of the second operator come often, so that there are enough of them to look at.
_RESYNC_SECONDS = 20.0

_CONSOLE = Console(stderr=True)


def main() -> None:
    arguments = _arguments()
    if not api_server.is_there():
        sys.exit(f"There is no API server: {api_server.missing()}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    measured = asyncio.run(_measure(arguments))
    measured["machine"] = report.machine()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2) + "\n")
    report.plot(measured, arguments.plot)
    if arguments.json:
        print(json.dumps(measured, indent=2))
    else:
        report.show(measured)
        print(f"\nNumbers: {arguments.results}\nAdapters ready over time: {arguments.plot}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--adapters", type=int, default=1000, help="applied at once, each for one pod")
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--slots", type=int, default=32, help="adapters that a pod can hold")
    parser.add_argument("--load-seconds", type=float, default=0.05, help="that an engine takes for a load")
    parser.add_argument("--singles", type=int, default=100, help="adapters applied one after the other")
    parser.add_argument("--replaced", type=int, default=5, help="pods that are replaced, one after the other")
    parser.add_argument("--objects", type=int, default=5000, help="for the memory; 0 leaves that out")
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="that are looked at, 300 at most")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that a step may take at most")
    parser.add_argument("--profile", default="", help="a file for cProfile's numbers of the operator")
    parser.add_argument("--plot", type=Path, default=HERE.parent / ".cache" / "operator.png")
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    parser.add_argument("--results", type=Path, default=HERE / "results" / f"operator-{today}.json")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


async def _measure(arguments: argparse.Namespace) -> Json:
    sizes = Sizes(arguments.adapters, arguments.pods, arguments.slots, arguments.load_seconds)
    measured: Json = {"sizes": vars(arguments) | {"plot": "", "results": "", "profile": ""}}
    _say("starting an API server")
    async with World(sizes) as world, watched(world.cluster) as readiness:
        calls = stages.Calls(world)
        limit = arguments.limit
        try:
            async with world.operator(arguments.profile) as operator:
                _say("starting pods")
                await world.start_pods()
                await stages.quiet(calls, 30.0)
                measured["start"] = {"rss": operator.rss, "cpu": operator.cpu}
                with _bar(sizes.adapters) as ready:
                    settled = await stages.settle(
                        world, operator, readiness, calls, limit=limit, progress=ready
                    )
                measured["settled"] = vars(settled)
                if settled.ready < settled.of:
                    _say(f"only {settled.ready} of {settled.of} are ready; the operator's log ends so:")
                    _say(world.log_tail())
                    return measured
                _say("doing nothing")
                measured["idle"] = await stages.idle(operator, calls, min(arguments.idle_seconds, 300.0))
                _say("one adapter after the other")
                measured["singles"] = await stages.singles(world, readiness, arguments.singles, limit)
                _say("replacing pods")
                measured["replaced"] = await stages.replaced(world, readiness, arguments.replaced, limit)
                await stages.quiet(calls)
            objects = sizes.adapters + arguments.singles
            _say("starting another operator, whose passes come often")
            async with world.operator(resync_seconds=_RESYNC_SECONDS) as operator:
                measured["restarted"] = await stages.restarted(operator, calls, objects, limit)
                measured["passes"] = await stages.idle(operator, calls, 2 * _RESYNC_SECONDS)
            if arguments.objects:
                _say("filling its memory")
                async with world.operator() as operator:
                    measured["filled"] = await stages.fill(world, operator, calls, arguments.objects, limit)
        except (TimeoutError, RuntimeError) as error:
            _say(f"{error or 'a step took longer than --limit'}; the operator's log ends so:")
            _say(world.log_tail())
            measured["stopped"] = str(error) or "a step took longer than --limit"
    return measured


class _bar:  # noqa: N801 - used as a function
    """Shows how many adapters are ready; called with their number."""

    def __init__(self, total: int) -> None:
        columns = (TextColumn("adapters ready"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=_CONSOLE)
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> "_bar":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def __call__(self, ready: int) -> None:
        self._progress.update(self._task, completed=ready)


def _say(text: str) -> None:
    _CONSOLE.print(text, markup=False, highlight=False)


if __name__ == "__main__":
    main()
