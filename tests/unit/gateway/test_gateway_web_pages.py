"""What an open gateway takes for a web page's request; over HTTP it is in the conformance tests."""

import pytest

from sluice_gateway.http.web_pages import own_host, refusal


def test_the_host_that_is_listened_on_is_the_gateways_own():
    own = own_host("Sluice.local:8080")
    assert not refusal(["sluice.local:8080"], ["http://sluice.local:8080"], own, ())
    assert "SLUICE_API_KEYS_FILE" in refusal(["other.local:8080"], [], own, ())
    assert own_host("[::1]:8080") == "::1"


@pytest.mark.parametrize("host", ["", ".", "fd:3"])
def test_a_socket_handed_over_has_no_name(host: str):
    assert refusal([host], [], own_host("fd:3"), ())


def test_programs_without_a_host_are_answered_and_each_of_several_counts():
    assert not refusal([], [], "", ())
    assert refusal(["localhost", "page.example"], [], "", ())
    assert refusal(["localhost"], ["http://localhost", "https://page.example"], "", ())


def test_all_origins_may_call_where_the_settings_say_so_but_under_no_name_of_theirs():
    assert not refusal(["localhost"], ["https://page.example"], "", ("*",))
    assert refusal(["page.example"], ["http://page.example"], "", ("*",))
