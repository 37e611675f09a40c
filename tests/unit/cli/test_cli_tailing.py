"""Following runs: where the stream breaks off, it goes on after the last event."""

from collections.abc import Iterator
from itertools import islice

import pytest
from httpx_sse import ServerSentEvent

from sluice_cli.errors import CommandError
from sluice_cli.tailing import follow_runs


class Gateway:
    """Gives one stream after the other; each is events and how it ends."""

    def __init__(self, *streams: list[int | Exception]) -> None:
        self._streams = iter(streams)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.slept: list[float] = []

    def events(self, last_id: str) -> Iterator[ServerSentEvent]:
        self.asked.append(last_id)
        for event in next(self._streams):
            if isinstance(event, Exception):
                raise event
            # Even numbers are places only, as the gateway sends them.
            yield ServerSentEvent(id=str(event), data=f'{{"n": {event}}}' if event % 2 else "")

    def follow(self, count: int) -> list[int]:
        runs = follow_runs(self.events, self.said.append, self.slept.append)
        return [run["n"] for run in islice(runs, count)]


AWAY = CommandError("nothing answers", passing=True)


def test_goes_on_after_the_last_event_seen():
    gateway = Gateway([0, 1], [AWAY], [AWAY], [2, 3, AWAY], [5])
    assert gateway.follow(3) == [1, 3, 5]
    assert gateway.asked == ["", "1", "1", "1", "3"]


def test_says_once_that_it_broke_off_and_that_it_goes_on():
    gateway = Gateway([1], [AWAY], [AWAY], [3, 5])
    gateway.follow(3)
    assert gateway.said == [
        "the gateway ended the stream; trying again …",
        "the gateway is back; nothing was missed",
    ]


def test_waits_longer_each_time_and_anew_after_success():
    gateway = Gateway([1], *[[AWAY]] * 6, [3, AWAY], [5])
    gateway.follow(3)
    assert gateway.slept == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 0.5]


def test_gateway_that_never_answered_is_an_error():
    with pytest.raises(CommandError, match="nothing answers"):
        Gateway([AWAY]).follow(1)


def test_refusal_ends_it_at_any_time():
    with pytest.raises(CommandError, match="not known"):
        Gateway([1], [CommandError("the API key is not known")]).follow(2)
