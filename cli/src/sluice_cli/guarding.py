"""A batch of texts through a guard policy: read line by line, screened several at a time, written in their order."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import quantiles
from threading import Event
from typing import Any

from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_any,
    stop_when_event_set,
    wait_exponential_jitter,
)

from sluice_cli import exits
from sluice_cli.errors import CommandError

Json = dict[str, Any]
Ask = Callable[[Json], Json]
"""Asks for the decision on one body."""

#: Requests at the same time, and lines read ahead of the one that is written next.
_IN_FLIGHT, _AHEAD = 4, 32
#: Seconds that a gateway may be away.
_PATIENCE = 60.0

#: What a line may say of its text; the rest of it is kept and not sent.
_FIELDS = ("text", "channel", "context", "question", "policy")

FAIL_ON = {"block": frozenset({"block"}), "flag": frozenset({"block", "redact", "flag"})}
"""Which actions count, by the least of them."""


@dataclass
class Screened:
    """What became of the texts."""

    texts: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    partial: int = 0
    """Texts that were not scanned whole."""
    failed: int = 0
    """Lines that could not be screened."""
    milliseconds: list[float] = field(default_factory=list)
    """Of each screening, as the guardrail has measured it."""

    def add(self, line: Json) -> None:
        """Counts a line that was written."""
        guard = line["guard"]
        if "error" in guard:
            self.failed += 1
        else:
            self.milliseconds.append(guard["milliseconds"])
            self.partial += bool(guard["partial"])
            self.actions[guard["action"]] += 1
        self.texts += 1

    @property
    def content(self) -> Json:
        """All counts, and the median and the 95th percentile of the milliseconds; None where there are none."""
        p50, p95 = _percentiles(self.milliseconds)
        return {
            "texts": self.texts,
            "actions": dict(self.actions.most_common()),
            "partial": self.partial,
            "failed": self.failed,
            "p50_ms": p50,
            "p95_ms": p95,
        }


@dataclass(frozen=True)
class Line:
    """One line of the input."""

    number: int
    """From one."""
    size: int
    """Bytes."""
    content: Json
    """What it holds; empty where it cannot be read."""
    error: str = ""


def lines(source: Iterable[bytes]) -> Iterator[Line]:
    """The lines that are not blank. One that is no JSON object says why."""
    for number, raw in enumerate(source, 1):
        if raw.strip():
            yield _line(number, raw)


def screen(source: Iterable[Line], defaults: Json, ask: Ask) -> Iterator[tuple[Line, Json]]:
    """Each line with what is to be written for it: its own fields, and under `guard` the decision, or the `error` with
    the line's number.

    Args:
        defaults: Fields of the body for lines that do not have them.

    Raises:
        CommandError: the gateway is away for too long, or refuses more than this one text.
    """
    waiting: deque[tuple[Line, Future[Json]]] = deque()
    threads = ThreadPoolExecutor(_IN_FLIGHT, "guard")
    ended = Event()
    try:
        for line in source:
            waiting.append((line, threads.submit(_guarded, line, defaults, ask, ended)))
            while waiting and (len(waiting) >= _AHEAD or waiting[0][1].done()):
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    finally:
        ended.set()
        threads.shutdown(cancel_futures=True)


def _next(waiting: deque[tuple[Line, Future[Json]]]) -> tuple[Line, Json]:
    line, guard = waiting.popleft()
    return line, {**line.content, "guard": guard.result()}


def _line(number: int, raw: bytes) -> Line:
    try:
        content = json.loads(raw.decode(), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        return Line(number, len(raw), {}, f"not UTF-8: byte {error.start} of the line cannot be read")
    except (ValueError, RecursionError) as error:
        return Line(number, len(raw), {}, f"not JSON: {error}")
    if not isinstance(content, dict):
        return Line(number, len(raw), {}, "not a JSON object")
    return Line(number, len(raw), content, "" if "text" in content else "there is no `text`")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number in JSON")


def _guarded(line: Line, defaults: Json, ask: Ask, ended: Event) -> Json:
    if line.error:
        return _failed(line, line.error)
    body = {**defaults, **{key: line.content[key] for key in _FIELDS if key in line.content}}
    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, CommandError) and error.passing),
        stop=stop_any(stop_after_delay(_PATIENCE), stop_when_event_set(ended)),
        wait=wait_exponential_jitter(multiplier=0.2, max=3.0, jitter=0.3),
        sleep=sleep_using_event(ended),
        reraise=True,
    )
    try:
        return retrying(ask, body)
    except CommandError as error:
        if error.code != exits.USAGE:
            raise
        return _failed(line, error.message)


def _failed(line: Line, reason: str) -> Json:
    return {"error": {"line": line.number, "message": reason}}


def _percentiles(values: list[float]) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return (values[0], values[0]) if values else (None, None)
    hundredths = quantiles(values, n=100, method="inclusive")
    return round(hundredths[49], 3), round(hundredths[94], 3)
