"""Runs as they happen, from a stream that may break off."""

import json
import time
from collections.abc import Callable, Iterator

from httpx_sse import ServerSentEvent

from sluice_cli.client import Json
from sluice_cli.errors import CommandError

STATES = ("running", "answered", "blocked", "degraded", "failed", "cancelled")

#: Seconds before the stream is opened again: the first time, and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


def follow_runs(
    events: Callable[[str], Iterator[ServerSentEvent]],
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Json]:
    """Runs as they come, without an end. Where the stream breaks off, it goes on after the last event.

    Args:
        events: Opens the stream after the event of an id.
        say: Hears that the stream broke off, and that it goes on.

    Raises:
        CommandError: the stream cannot be had at all, or the gateway refuses it.
    """
    last_id, pause, away = "", _FIRST_PAUSE, False
    while True:
        why = "the gateway ended the stream"
        try:
            for event in events(last_id):
                if away:
                    say("the gateway is back; nothing was missed")
                last_id, pause, away = event.id, _FIRST_PAUSE, False
                if event.data:
                    yield json.loads(event.data)
        except CommandError as error:
            if not last_id or not error.passing:
                raise
            why = error.message
        if not away:
            say(f"{why}; trying again …")
        away = True
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
