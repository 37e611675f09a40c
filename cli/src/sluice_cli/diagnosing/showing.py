"""What everything here runs by, or would: the objects, and every process's settings."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from sluice_api.compiling import compile_objects
from sluice_api.errors import ObjectError
from sluice_api.loading import load
from sluice_cli import exits
from sluice_cli.diagnosing import configuration, subject
from sluice_cli.diagnosing.configuration import COMMANDS, ProcessSettings, Unread
from sluice_cli.diagnosing.subject import Subject
from sluice_cli.errors import usage
from sluice_cli.options import OutputFormat
from sluice_cli.terminal import err, out, print_data


@dataclass(frozen=True)
class ObjectsInEffect:
    """The object files, and what they compile to."""

    files: tuple[str, ...]
    digest: str
    """Of the snapshot they make; empty where they do not compile, or none are given."""
    in_force: str
    """Of the snapshot that `sluice up` serves; empty where none runs."""
    problems: tuple[str, ...]


def show(
    context: typer.Context, objects: Sequence[Path], data: Path, process: str, output: OutputFormat
) -> int:
    """Prints it; gives the exit code.

    Raises:
        CommandError: there is no process of that name.
    """
    found = subject.gather(subject.Asked(objects, data), os.environ)
    known = (*found.environments, COMMANDS)
    if process and process not in known:
        raise usage(f"there is no process {process!r}", f"name one of {', '.join(known)}")
    in_effect = _objects(found)
    commands = configuration.of_commands(context.find_root().command, os.environ)
    asked = {name: each for name, each in found.environments.items() if process in ("", name)}
    shown = [*configuration.of_processes(asked), *([commands] if process in ("", COMMANDS) else [])]
    unread = [] if process else _unread(found, shown)
    if output is OutputFormat.TABLE:
        _print(in_effect, shown, unread)
    else:
        print_data(_as_data(in_effect, shown, unread), output)
    refused = any(each.problem or any(entry.problem for entry in each.settings) for each in shown)
    return exits.FAILED if refused or in_effect.problems else exits.OK


def _objects(found: Subject) -> ObjectsInEffect:
    in_force = found.running.snapshot_digest if found.running is not None else ""
    if not found.asked.objects:
        return ObjectsInEffect((), "", in_force, ())
    try:
        loaded = load(found.asked.objects)
        digest = compile_objects(loaded).snapshot.digest
    except ObjectError as error:
        given = tuple(str(path) for path in found.asked.objects)
        return ObjectsInEffect(given, "", in_force, tuple(str(problem) for problem in error.problems))
    return ObjectsInEffect(tuple(sorted({item.file for item in loaded})), digest, in_force, ())


def _unread(found: Subject, everything: Sequence[ProcessSettings]) -> list[Unread]:
    if any(each.problem for each in everything):
        return []  # what a process that does not answer reads cannot be told
    names = {name for each in found.environments.values() for name in each.variables}
    known = [setting.variable for each in everything for setting in each.settings]
    return configuration.unread(names, known)


def _as_data(
    objects: ObjectsInEffect, shown: Sequence[ProcessSettings], unread: Sequence[Unread]
) -> dict[str, Any]:
    return {
        "objects": asdict(objects),
        "processes": [asdict(each) for each in shown],
        "warnings": [str(each) for each in unread],
    }


def _print(objects: ObjectsInEffect, shown: Sequence[ProcessSettings], unread: Sequence[Unread]) -> None:
    for file in objects.files:
        out.print(f"objects   {file}", markup=False)
    if objects.digest or objects.in_force:
        out.print(f"snapshot  {objects.digest or 'not compiled'}     in force: {objects.in_force or 'none'}")
    for each in shown:
        out.print(_table(each))
    for problem in objects.problems:
        err.print(f"[red]objects:[/] {escape(problem)}")
    for each in shown:
        if each.problem:
            err.print(f"[red]{each.process}:[/] {escape(each.problem)}")
        for setting in each.settings:
            if setting.problem:
                err.print(f"[red]{each.process}:[/] {setting.variable}: {escape(setting.problem)}")
    for unknown in unread:
        err.print(f"[yellow]warning:[/] {escape(str(unknown))}")


def _table(each: ProcessSettings) -> Table:
    table = Table("variable", "value", "source", title=each.process, title_justify="left")
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    for setting in each.settings:
        text = "" if setting.value is None else str(setting.value)
        style = "dim" if setting.source == "default" else "red" if setting.problem else ""
        table.add_row(setting.variable, escape(text), setting.source, style=style)
    return table
