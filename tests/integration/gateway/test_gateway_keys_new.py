"""Keys that are made and put into a file, which stays as it was but for them."""

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluice_gateway.access.appending import append
from sluice_gateway.domain.access import Access
from sluice_gateway.domain.api_keys import is_whole
from sluice_gateway.keys_file import KeysFileWatch, read_keys
from sluice_servicekit.errors import Conflict, FailedPrecondition

ENTRY = {"id": "new", "key_sha256": "c" * 64, "tenant": "acme", "roles": ["reader"]}

WRITTEN = """\
# Keys of the staging gateway.
defaults: {limits: {concurrency: 4}}

keys:
    # the bot's
    - id: bot
      key_sha256: %s
      tenant: acme
      acl:
        - staff   # both of them

# Tenants follow.
tenants:
    acme:
        limits: {requests_per_minute: 60}
""" % ("a" * 64)


def _new(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sluice_gateway.access.new_key", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_key_is_printed_once_and_its_digest_let_in(tmp_path: Path):
    file = tmp_path / "keys.yaml"
    options = ("--roles", "reader,writer", "--expires", "90d", "--models", "support,sales", "--id", "ci")
    done = _new("--tenant", "acme", "--file", str(file), *options)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert is_whole(made["key"])
    assert made["key"] not in file.read_text() + made["entry"]
    assert file.stat().st_mode & 0o777 == 0o600
    who = Access.from_file(read_keys(file)).principal(f"Bearer {made['key']}", None)
    assert (who.tenant, who.key, who.models, who.roles) == (
        "acme", "ci", ("support", "sales"), ("reader", "writer"),
    )  # fmt: skip
    assert hashlib.sha256(made["key"].encode()).hexdigest() in made["entry"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--tenant", "a b"), "--tenant"),
        (("--tenant", "a", "--expires", "soon"), "--expires"),
        (("--tenant", "a", "--priority", "high"), "--priority"),
    ],
)
def test_wrong_option_makes_no_key(options: tuple[str, ...], says: str):
    done = _new(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_everything_else_of_the_file_stays(tmp_path: Path):
    file = tmp_path / "keys.yaml"
    file.write_text(WRITTEN)
    file.chmod(0o640)
    append(file, ENTRY)
    lines = file.read_text().splitlines()
    at = lines.index("    - id: new")
    assert lines[at - 1] == "        - staff   # both of them"
    assert lines[:at] + lines[at + 4 :] == WRITTEN.splitlines()
    assert [key.name for key in read_keys(file).keys] == ["bot", "new"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "content",
    [
        f"keys:\n- {{id: bot, key_sha256: {'a' * 64}, tenant: acme}}",
        f"keys:\n- id: bot\n  tenant: acme\n  key_sha256: {'a' * 64}\n\n\n# the end\n",
        "issuers:\n- {id: corp, issuer: 'https://corp.example', audience: [x]}\n",
    ],
)
def test_other_ways_to_write_it(tmp_path: Path, content: str):
    file = tmp_path / "keys.yaml"
    file.write_text(content)
    append(file, ENTRY)
    assert read_keys(file).keys[-1].name == "new"
    assert file.read_text().startswith(content.rstrip("\n").partition("\n\n")[0])


def test_file_that_cannot_be_added_to_stays_as_it_is(tmp_path: Path):
    file = tmp_path / "keys.yaml"
    content = f"keys: [{{id: bot, key_sha256: {'a' * 64}, tenant: acme}}]\n"
    file.write_text(content)
    with pytest.raises(FailedPrecondition, match="on one line"):
        append(file, ENTRY)
    file.write_text("keys: 3\n")
    with pytest.raises(FailedPrecondition, match="not valid"):
        append(file, ENTRY)
    assert file.read_text() == "keys: 3\n"
    with pytest.raises(FailedPrecondition, match="folder"):
        append(tmp_path, ENTRY)


def test_name_that_is_taken_is_refused(tmp_path: Path):
    file = tmp_path / "keys.yaml"
    append(file, ENTRY)
    with pytest.raises(Conflict, match="'new' already"):
        append(file, {**ENTRY, "key_sha256": "d" * 64})


def test_several_at_once_lose_none(tmp_path: Path):
    file = tmp_path / "keys.yaml"
    entries = [{**ENTRY, "id": f"key-{n}", "key_sha256": f"{n:064x}"} for n in range(12)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda entry: append(file, entry), entries))
    assert len(read_keys(file).keys) == 12


def test_link_stays_a_link(tmp_path: Path):
    (tmp_path / "real.yaml").write_text(WRITTEN)
    link = tmp_path / "keys.yaml"
    link.symlink_to("real.yaml")
    append(link, ENTRY)
    assert link.is_symlink()
    assert len(read_keys(tmp_path / "real.yaml").keys) == 2


def test_keys_change_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "keys.yaml"
    file.write_text("keys:\n- {id: one, key: one-of-sixteen-chars, tenant: acme}\n")
    watch = KeysFileWatch(file)
    assert "1 keys as they are (one)" in caplog.text
    assert "one-of-sixteen" not in caplog.text
    made = json.loads(_new("--tenant", "other", "--file", str(file)).stdout)
    watch.refresh()
    assert watch.current.principal(f"Bearer {made['key']}", None).tenant == "other"
    file.write_text("keys: [")
    watch.refresh()
    assert "the keys that were stay in force" in caplog.text
    assert watch.current.principal("Bearer one-of-sixteen-chars", None).tenant == "acme"
