"""Every setting of every process: its value, its variable, where it comes from; and variables that nobody reads."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from sluice_cli.diagnosing import probing
from sluice_cli.diagnosing.environments import CHOSEN, ProcessEnvironment
from sluice_cli.diagnosing.probing import Probe
from sluice_servicekit.settings_report import REDACTED, Setting, is_secret

#: The name under which the command line's own variables stand.
COMMANDS = "sluice"

UP = "sluice up"
"""The source of what `sluice up` sets itself."""

_SECONDS = 40.0
_PREFIX = "SLUICE_"


@dataclass(frozen=True)
class ShownSetting:
    """A setting of one process."""

    name: str
    variable: str
    value: Any
    default: Any
    source: str
    """`default`, `environment` or `sluice up`."""
    problem: str
    """Why the process refuses the value; empty where it does not."""
    description: str


@dataclass(frozen=True)
class ProcessSettings:
    """What one process runs by."""

    process: str
    settings: tuple[ShownSetting, ...]
    problem: str = ""
    """Why its settings cannot be told."""


@dataclass(frozen=True)
class Unread:
    """A variable that no process reads."""

    variable: str
    close: str
    """The one that was meant, perhaps; empty where none is close."""

    def __str__(self) -> str:
        meant = f"; did you mean {self.close}?" if self.close else ""
        return f"no process reads {self.variable}{meant}"


def of_processes(environments: Mapping[str, ProcessEnvironment]) -> list[ProcessSettings]:
    """Asks each of the processes, all at the same time, with the environment that it has or would have."""
    with ThreadPoolExecutor(len(environments) or 1) as threads:
        probes = threads.map(_ask, environments, environments.values())
        return [
            judge(name, environment, probe)
            for (name, environment), probe in zip(environments.items(), probes, strict=True)
        ]


def judge(process: str, environment: ProcessEnvironment, probe: Probe) -> ProcessSettings:
    """From what `python -m sluice_<process> --settings` printed."""
    if probe.code != 0:
        return ProcessSettings(process, (), f"asking {process} for its settings {probe.end}")
    return ProcessSettings(
        process, tuple(_shown(Setting(**entry), environment) for entry in json.loads(probe.output))
    )


def of_commands(root: Any, environment: Mapping[str, str]) -> ProcessSettings:
    """The variables that stand in for options of the commands themselves.

    Args:
        root: The whole command line as typer's copy of click has it, which has no public name.
        environment: That of this process.
    """
    found: dict[str, ShownSetting] = {}
    for parameter in _parameters(root):
        variable = parameter.envvar
        if variable and (variable not in found or not found[variable].default):
            found[variable] = _option(parameter, environment)
    return ProcessSettings(COMMANDS, tuple(found[variable] for variable in sorted(found)))


def unread(names: Iterable[str], known: Iterable[str]) -> list[Unread]:
    """The variables of ours that nobody reads."""
    known = set(known)
    ours = {name for name in names if name.upper().startswith(_PREFIX)}
    return [
        Unread(name, next(iter(difflib.get_close_matches(name.upper(), sorted(known), n=1)), ""))
        for name in sorted(ours)
        if name.upper() not in known
    ]


def _ask(process: str, environment: ProcessEnvironment) -> Probe:
    return probing.python_module(
        f"sluice_{process}", ["--settings"], seconds=_SECONDS, environment=environment.variables
    )


def _shown(setting: Setting, environment: ProcessEnvironment) -> ShownSetting:
    source = UP if setting.variable in environment.told else setting.source
    problem = "" if setting.value == CHOSEN else setting.problem
    return ShownSetting(**{**asdict(setting), "source": source, "problem": problem})


def _option(parameter: Any, environment: Mapping[str, str]) -> ShownSetting:
    variable, default = parameter.envvar, parameter.default
    given = variable in environment
    default = None if default is None else str(default)
    return ShownSetting(
        name=parameter.name,
        variable=variable,
        value=REDACTED if given and is_secret(variable) else environment.get(variable, default),
        default=default,
        source="environment" if given else "default",
        problem="",
        description=parameter.help or "",
    )


def _parameters(command: Any) -> Iterator[Any]:
    yield from command.params
    for below in getattr(command, "commands", {}).values():
        yield from _parameters(below)
