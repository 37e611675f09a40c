"""The `Prefer` header."""

import pytest
from fastapi import Request

from sluice_gateway.http.preferring import Preference, preference
from sluice_servicekit.errors import InvalidArgument


def _request(*headers: str) -> Request:
    return Request({"type": "http", "headers": [(b"prefer", header.encode()) for header in headers]})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), Preference()),
        (("respond-async",), Preference(asynchronous=True)),
        (("Respond-Async, wait=10",), Preference(asynchronous=True, wait=10)),
        (("wait = 3", "respond-async"), Preference(asynchronous=True, wait=3)),
        (('wait="7"', "return=minimal"), Preference(wait=7)),
        (("wait=-1, wait=soon, waiting=5",), Preference()),
    ],
)
def test_what_is_preferred(headers: tuple[str, ...], expected: Preference):
    assert preference(_request(*headers)) == expected


def test_nobody_waits_for_ever():
    with pytest.raises(InvalidArgument):
        preference(_request("wait=301"))
