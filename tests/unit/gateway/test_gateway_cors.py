"""Which origins the settings take."""

import pytest
from pydantic import ValidationError

from sluice_gateway.settings import GatewaySettings


def test_origins_are_parted_by_blanks():
    assert GatewaySettings().origins == ()
    told = GatewaySettings(cors_origins=" https://a.example  http://localhost:3000 ")
    assert told.origins == ("https://a.example", "http://localhost:3000")
    assert GatewaySettings(cors_origins="*").origins == ("*",)


@pytest.mark.parametrize("wrong", ["a.example", "https://a.example/", "https://a.example/page", "https://"])
def test_what_no_browser_would_send_is_refused(wrong: str):
    with pytest.raises(ValidationError, match="is no origin"):
        GatewaySettings(cors_origins=f"https://b.example {wrong}")
