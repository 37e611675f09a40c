"""What servers that are asked say when they do not answer."""

from email.utils import formatdate

import pytest

from sluice_servicekit.upstream import message, retry_after


def test_message_of_nested_and_flat_error_bodies():
    assert message({"error": {"message": "nested"}}) == "nested"
    assert message({"error": "flat", "error_type": "Validation"}) == "flat"
    assert message("<html>") == "<html>"


def test_time_to_wait_is_read_in_seconds_and_as_a_date():
    assert retry_after({"retry-after": "3"}) == 3.0
    assert (retry_after({"retry-after": formatdate(4102444800 + 3600)}) or 0) > 3590
    assert retry_after({"retry-after": formatdate(0)}) == 0.0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize("said", ["²", "inf", "nan", "-", "Wed, 99 Foo 2026 00:00:00 GMT"])
def test_what_is_no_time_is_none(said: str):
    assert retry_after({"retry-after": said}) is None
