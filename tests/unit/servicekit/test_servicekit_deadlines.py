"""The time left only ever shrinks."""

import pytest

from sluice_servicekit import deadlines


def test_nothing_limits_work_by_default() -> None:
    assert deadlines.remaining() is None
    assert deadlines.cap(3.0) == 3.0
    assert deadlines.cap(None) is None


def test_an_inner_limit_cannot_outlast_the_outer_one() -> None:
    with deadlines.limit(1.0), deadlines.limit(10.0):
        left = deadlines.remaining()

    assert left is not None
    assert left <= 1.0


def test_a_limit_ends_with_its_block() -> None:
    with deadlines.limit(1.0):
        pass

    assert deadlines.remaining() is None


def test_what_is_left_is_never_negative() -> None:
    with deadlines.limit(0.0):
        assert deadlines.remaining() == pytest.approx(0.0)
