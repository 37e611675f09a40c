"""`python -m doubles.agent --kubeconfig FILE --namespace NS --model-server NAME --pods 50`: pods as a process.

Prints a line of JSON once all pods are there: the agents' port, and each pod's name and address. Ends on SIGINT or
SIGTERM. Each line on its standard input is a command: `replace N`, `restart N`, `cut-off N`, `reconnect N`, `remove N`
(N counts from 0), `add`, or `loaded`; each is answered by a line of JSON.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from doubles.agent import Settings
from sluice_inference.adapter_agent.reasons import Reason
from support.api_server import ApiServer
from support.fake_pods import FakePods


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says: the pods, one option for each of `Settings`, and what goes wrong."""
    parser = argparse.ArgumentParser(prog="python -m doubles.agent", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--model-server", required=True)
    parser.add_argument("--pods", type=int, default=1)
    parser.add_argument("--port", type=int, default=9200, help="0 takes a free one")
    parser.add_argument("--wrong-source", action="append", default=[], metavar="PLACE=REASON")
    for each in fields(Settings):
        if each.name != "token":
            option = f"--{each.name.replace('_', '-')}"
            parser.add_argument(option, type=type(each.default), default=each.default)
    return parser.parse_args(given)


def made(options: argparse.Namespace) -> FakePods:
    """The pods that the options describe."""
    given = {each.name: getattr(options, each.name) for each in fields(Settings) if each.name != "token"}
    pods = FakePods(
        ApiServer(options.kubeconfig),
        options.namespace,
        options.model_server,
        options.pods,
        options.port,
        Settings(**given),
    )
    for each in options.wrong_source:
        where, _, reason = each.rpartition("=")
        pods.catalogue.wrong[where] = Reason(reason)
    return pods


async def _serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, ending.set)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with made(options) as pods:
        _say({"port": pods.port, "pods": _told(pods)})
        obeying = asyncio.create_task(_obey(commands, pods))
        await ending.wait()
        obeying.cancel()


async def _obey(commands: asyncio.StreamReader, pods: FakePods) -> None:
    while line := (await commands.readline()).decode().split():
        try:
            _say(await _done(line[0], line[1:], pods))
        except (LookupError, ValueError) as error:
            _say({"error": f"{type(error).__name__}: {error}"})


async def _done(command: str, rest: Sequence[str], pods: FakePods) -> Any:
    if command == "loaded":
        return {pod.name: sorted(pod.agent.loaded) for pod in pods.pods}
    if command == "add":
        return (await pods.add()).name
    actions = {
        "replace": pods.replace,
        "restart": pods.restart,
        "cut-off": pods.cut_off,
        "reconnect": pods.reconnect,
        "remove": pods.remove,
    }
    given = await actions[command](pods[int(rest[0])])
    return {"done": command, **({"pod": given.name} if given else {})}


def _told(pods: FakePods) -> list[dict[str, str]]:
    return [{"name": pod.name, "uid": pod.uid, "address": pod.address} for pod in pods.pods]


def _say(found: Any) -> None:
    print(json.dumps(found), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_serve(arguments()))
