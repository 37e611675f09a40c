"""What a process says of its settings, asked as the command line asks it."""

import json
import os
import subprocess
import sys

import pytest

from sluice_servicekit.settings import ServiceSettings
from sluice_servicekit.settings_report import REDACTED, is_secret, settings_of


def _asked(**variables: str):
    done = subprocess.run(
        [sys.executable, "-m", "sluice_gateway", "--settings"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, **variables},
    )
    return {setting["variable"]: setting for setting in json.loads(done.stdout)}


def test_process_prints_every_setting_with_its_value_and_source():
    found = _asked(SLUICE_MAX_IN_FLIGHT="7", sluice_traces="file:/tmp/t", SLUICE_API_KEYS_FILE="keys.yaml")
    assert found["SLUICE_MAX_IN_FLIGHT"]["value"] == 7
    assert found["SLUICE_MAX_IN_FLIGHT"]["default"] == 256
    assert found["SLUICE_MAX_IN_FLIGHT"]["source"] == "environment"
    assert found["SLUICE_TRACES"]["value"] == "file:/tmp/t"
    assert found["SLUICE_API_KEYS_FILE"]["value"] == "keys.yaml"
    assert found["SLUICE_LOG_LEVEL"]["value"] == "INFO"
    assert found["SLUICE_LOG_LEVEL"]["source"] == "default"
    assert found["SLUICE_INSTANCE"]["value"] is None  # made at the start of the real process
    assert not any(setting["problem"] for setting in found.values())


def test_refused_value_is_named_and_the_others_are_still_told():
    found = _asked(SLUICE_DRAIN_SECONDS="-1", SLUICE_MAX_IN_FLIGHT="7")
    assert found["SLUICE_DRAIN_SECONDS"]["value"] == "-1"
    assert "greater than or equal to 0" in found["SLUICE_DRAIN_SECONDS"]["problem"]
    assert found["SLUICE_MAX_IN_FLIGHT"]["value"] == "7"
    assert not found["SLUICE_MAX_IN_FLIGHT"]["problem"]


def test_secret_is_never_printed():
    class WithSecret(ServiceSettings):
        """A process that is given a key itself."""

        upstream_api_key: str = ""

    settings = settings_of(WithSecret, {"SLUICE_UPSTREAM_API_KEY": "sk-very-secret"})
    found = next(setting for setting in settings if setting.name == "upstream_api_key")
    assert (found.value, found.source) == (REDACTED, "environment")


@pytest.mark.parametrize(
    ("variable", "secret"),
    [
        ("SLUICE_API_KEY", True),
        ("SLUICE_DB_PASSWORD", True),
        ("SLUICE_API_KEYS_FILE", False),
        ("SLUICE_SECRETS_DIR", False),
        ("SLUICE_JOURNAL_KEY_FILE", False),
    ],
)
def test_variables_that_hold_a_secret_are_told_by_their_names(variable: str, secret: bool):
    assert is_secret(variable) is secret
