"""What the log of a process says of its end."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_BYTES = 64 << 10
_BAD = ("ERROR", "CRITICAL")

#: A line of SLUICE_LOG_FORMAT=text.
_TEXT = re.compile(r"^\d{4}-\d\d-\d\d \S+ (?P<level>[A-Z]+) +(?P<message>.*)")


def end_of(log: Path) -> list[str]:
    """The last lines; none where it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def last_error(lines: Sequence[str]) -> str:
    """The last line that tells of an error. What is not in the log's form was written by a process that died."""
    for line in reversed(lines):
        level, message = _parsed(line.strip())
        if level in _BAD and message:
            return message
    return ""


def _parsed(line: str) -> tuple[str, str]:
    if text := _TEXT.match(line):
        return text["level"], text["message"]
    try:
        entry = json.loads(line)
    except ValueError:
        return "ERROR", line
    if isinstance(entry, Mapping):
        return str(entry.get("level", "")), str(entry.get("message", ""))
    return "ERROR", line
