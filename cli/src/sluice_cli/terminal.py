"""Two consoles: results on stdout, everything else on stderr."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape

from sluice_cli.errors import CommandError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

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


def print_json(content: Any) -> None:
    """One JSON document on stdout, indented only where a person reads it."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def print_error(error: CommandError) -> None:
    """An error, and what to do about it."""
    err.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        err.print(f"[dim]{escape(error.hint)}[/]")


def state(name: str) -> str:
    """A state in its colour."""
    style = _STATE_STYLES.get(name, "default")
    return f"[{style}]{escape(name)}[/]"
