"""What the shell offers after Tab, through the real command."""

import socket
import subprocess
import sys
from collections.abc import Mapping

import pytest

from support.running import SLUICE, completions


def test_bash_gets_a_script_that_asks_the_command():
    done = subprocess.run(
        [SLUICE], env={"_SLUICE_COMPLETE": "source_bash"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "complete -o default -F _sluice_completion sluice" in done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sluice runs t", ["tail"]),
        ("sluice runs list -o ", ["table", "json", "yaml"]),
        ("sluice runs tail --state b", ["blocked"]),
    ],
)
def test_commands_and_fixed_values_are_offered(line: str, offered: list[str]):
    assert completions(line, {}) == offered


def test_nothing_is_offered_and_nothing_said_where_no_gateway_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for environment in ({"SLUICE_URL": url}, {"SLUICE_URL": "http://127.0.0.1:9"}, {"SLUICE_URL": "x"}):
            _offers_nothing(environment)


def _offers_nothing(environment: Mapping[str, str]) -> None:
    assert completions("sluice ask --model ", environment) == []


def test_the_command_starts_without_what_only_some_commands_need():
    heavy = "{'grpc', 'pydantic', 'google.protobuf', 'opentelemetry', 'watchfiles'}"
    code = f"import sys, sluice_cli.main; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
