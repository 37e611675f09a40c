"""`sluice keys new`: a key for people, and for programs."""

import json
from pathlib import Path

from sluice_cli import exits
from support.running import sluice


def test_key_and_its_entry_are_printed_and_nothing_is_written():
    done = sluice("keys", "new", "--tenant", "acme", "--id", "ci")
    assert done.returncode == exits.OK, done.stderr
    key, _, *rest = done.stdout.splitlines()
    assert key.startswith("sluice_")
    assert "- id: ci" in rest
    assert key not in "\n".join(rest)


def test_key_goes_into_the_file_and_json_says_the_same(tmp_path: Path):
    options = ("--tenant", "acme", "--roles", "writer", "--id", "ci", "--file", "keys.yaml")
    done = sluice("keys", "new", *options, "--json", cwd=tmp_path)
    assert done.returncode == exits.OK, done.stderr
    made = json.loads(done.stdout)
    assert made["file"] == str(tmp_path / "keys.yaml")
    assert (tmp_path / "keys.yaml").read_text() == "keys:\n" + made["entry"]
    again = sluice("keys", "new", *options, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (exits.USAGE, "")
    assert "has a key 'ci' already" in again.stderr
