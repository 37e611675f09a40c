"""When the time of something is over."""

import pytest

from sluice_api.lifetimes import expires_after

NOW = 1_800_000_000.25


@pytest.mark.parametrize("seconds", [0.25, 1.0, 60.0, 86400.0, 30 * 86400.0, 10 * 365 * 86400.0])
def test_nothing_is_kept_longer_than_said_nor_much_shorter(seconds: float) -> None:
    kept = expires_after(NOW, seconds) - NOW
    assert seconds * 31 / 32 - 1e-6 <= kept <= seconds + 1e-6


def test_what_is_told_again_soon_keeps_its_time_and_later_gets_more() -> None:
    month = 30 * 86400.0
    times = [expires_after(NOW + day * 86400.0, month) for day in (0.0, 0.001, 1.0, 2.0)]
    assert times[0] == times[1] < times[2] < times[3]


def test_no_time_at_all_is_over_at_once() -> None:
    assert expires_after(NOW, 0.0) == NOW
