"""Two consoles: results on stdout, everything else on stderr. Neither prints control characters of a text."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import yaml
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

from sluice_cli.controls import CONTROLS, without_controls
from sluice_cli.errors import CommandError
from sluice_cli.options import OutputFormat


class SafeConsole(Console):
    """A console whose texts come from documents, models and other people: what would move the cursor, set the
    title or fill the clipboard is left out. The console's own styles and links are added after this."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, soft_wrap=True, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(without_controls(segment.text), segment.style)


out = SafeConsole()
err = SafeConsole(stderr=True)

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
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(_as_yaml(content) if output is OutputFormat.YAML else _as_json(content, indent))


def print_item(content: Any, output: OutputFormat) -> None:
    """One of many documents on stdout, at once: a line of JSON, or a YAML document after its `---`."""
    text = f"---\n{_as_yaml(content)}" if output is OutputFormat.YAML else _as_json(content, indent=None)
    sys.stdout.write(text)
    sys.stdout.flush()


def json_line(content: Any) -> str:
    """A document as a line of JSON that any file or terminal can hold: halves of surrogate pairs are escaped, too."""
    return _as_json(content, indent=None).encode(errors="backslashreplace").decode()


def _as_json(content: Any, indent: int | None) -> str:
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    # DEL and C1, which JSON allows as they are.
    return CONTROLS.sub(lambda control: f"\\u{ord(control[0]):04x}", text) + "\n"


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
    return f"[{state_style(name)}]{escape(name)}[/]"


def state_style(name: str) -> str:
    """A state's colour."""
    return _STATE_STYLES.get(name, "default")
