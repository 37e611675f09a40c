"""Two consoles: results on stdout, everything else on stderr."""

import json
import re
import sys
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape

from sluice_cli.errors import CommandError
from sluice_cli.options import OutputFormat

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

#: DEL and C1, which `json.dumps` leaves as they are and terminals obey.
_CONTROLS = re.compile("[\x7f-\x9f]")

_STATE_STYLES = {
    "succeeded": "green",
    "answered": "green",
    "degraded": "yellow",
    "blocked": "magenta",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "restarting": "yellow",
    "skipped": "dim",
}


def print_data(content: Any, output: OutputFormat) -> None:
    """One document on stdout, in JSON (indented only where a person reads it) or YAML."""
    sys.stdout.write(_as_yaml(content) if output is OutputFormat.YAML else _as_json(content))


def _as_json(content: Any) -> str:
    text = json.dumps(content, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False)
    return _CONTROLS.sub(lambda control: f"\\u{ord(control[0]):04x}", text) + "\n"


def _as_yaml(content: Any) -> str:
    plain = json.loads(json.dumps(content))  # what JSON would say: tuples as lists, enums as their values
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return text


def print_error(error: CommandError) -> None:
    """An error, and what to do about it."""
    err.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        err.print(f"[dim]{escape(error.hint)}[/]")


def state(name: str) -> str:
    """A state in its colour."""
    style = _STATE_STYLES.get(name, "default")
    return f"[{style}]{escape(name)}[/]"
