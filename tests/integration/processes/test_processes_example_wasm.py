"""The examples/wasm objects: two policies in WebAssembly at the output gate, as its README says."""

import json
from collections.abc import Iterator

import pytest

from support.running import PROJECT, Running, running, sluice

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The example."""
    folder = PROJECT / "examples" / "wasm"
    with running(tmp_path_factory.mktemp("wasm") / "data", "-f", str(folder)) as up:
        yield up


def _reports(up: Running, text: str) -> dict[str, dict]:
    done = sluice("guard", text, "--channel", "output", "--url", up.url, "--json")
    assert done.returncode == 0, done.stderr
    return {report["name"]: report for report in json.loads(done.stdout)["detectors"]}


def test_both_modules_are_asked_and_each_decides_its_own(example: Running):
    named = _reports(example, "Größe: Globex sells presses.")
    assert named["wasm/no-competitors"]["action"] == "redact"
    assert named["wasm/egress-links"]["action"] == "allow"
    (span,) = named["wasm/no-competitors"]["spans"]
    assert (span["category"], span["start"], span["end"]) == ("competitor", 7, 13)

    linked = _reports(example, "See https://evil.test/?q=1 and https://docs.example.com.")
    assert linked["wasm/no-competitors"]["action"] == "allow"
    assert linked["wasm/egress-links"]["action"] == "block"
    (span,) = linked["wasm/egress-links"]["spans"]
    assert (span["category"], span["start"], span["end"]) == ("egress-link", 4, 26)


def test_an_answer_with_a_link_that_is_not_listed_is_withheld(example: Running):
    text = "The Farran anvil weighs 88 kilograms, says https://evil.test/anvil of it."
    example.ingest([{"id": "anvil.txt", "text": text}])
    done = sluice("ask", "How heavy is the Farran anvil?", "--url", example.url)
    assert done.returncode == 3, done.stdout
    assert "wasm/egress-links · egress-link" in done.stderr
    assert "evil.test" not in done.stdout + done.stderr
