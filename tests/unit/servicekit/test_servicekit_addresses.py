"""Addresses are read strictly."""

import pytest

from sluice_servicekit.addresses import is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "want"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:8080", ("::1", 8080)), ("host:0", ("host", 0))],
)
def test_host_and_port(text: str, want: tuple[str, int]) -> None:
    assert parse_address(text) == want


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "host:http", "host:70000"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_address(text)


def test_loopback() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
