"""Whether the gateway would take an API keys file, asked as the command line asks it."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

KEY = "plain-key-0123456789"


def _checked(file: Path, content: bytes) -> subprocess.CompletedProcess[str]:
    file.write_bytes(content)
    command = [sys.executable, "-m", "sluice_gateway.keys_check", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert KEY not in done.stdout + done.stderr
    return done


def test_valid_file_is_counted(tmp_path: Path):
    content = f"keys:\n- {{key: {KEY}, tenant: a}}\n- {{key_sha256: {'a' * 64}, tenant: b}}\n"
    done = _checked(tmp_path / "keys.yaml", content.encode())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "keys": 2,
        "tenants": 2,
        "issuers": 0,
        "plain": 1,
        "expired": [],
        "expiring": [],
    }


def test_keys_that_end_are_named(tmp_path: Path):
    soon = (datetime.now(UTC) + timedelta(days=3)).date()
    entries = [
        {"id": "gone", "key_sha256": "a" * 64, "tenant": "a", "expires": date(2020, 1, 1)},
        {"id": "soon", "key_sha256": "b" * 64, "tenant": "a", "expires": soon},
        {"id": "late", "key_sha256": "c" * 64, "tenant": "a", "expires": "2999-01-01T00:00:00Z"},
    ]
    done = _checked(tmp_path / "keys.yaml", yaml.safe_dump({"keys": entries}).encode())
    found = json.loads(done.stdout)
    assert (found["expired"], found["expiring"]) == (["gone"], ["soon"])


def test_folder_is_read_as_one_file(tmp_path: Path):
    """As Kubernetes mounts a Secret."""
    version = tmp_path / "..2026_01_01"
    version.mkdir()
    (version / "a.yaml").write_text(f"keys:\n- {{key_sha256: {'a' * 64}, tenant: a}}\ntenants: {{a: {{}}}}\n")
    (version / "b.yaml").write_text(f"keys:\n- {{key_sha256: {'b' * 64}, tenant: b}}\ntenants: {{c: {{}}}}\n")
    (tmp_path / "..data").symlink_to(version)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).symlink_to(tmp_path / "..data" / name)
    found = subprocess.run(
        [sys.executable, "-m", "sluice_gateway.keys_check", str(tmp_path)], capture_output=True, check=True
    )
    assert (json.loads(found.stdout)["keys"], json.loads(found.stdout)["tenants"]) == (2, 3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f"keys:\n- {{key: {KEY}}}\n".encode(), "keys.0.tenant"),
        (f"keys: [{KEY}".encode(), "not YAML"),
        (f"keys: \xe9 {KEY}".encode("latin-1"), "not UTF-8"),
        (b"", "not valid"),
    ],
)
def test_file_that_the_gateway_refuses_is_refused_with_the_reason(tmp_path: Path, content: bytes, says: str):
    done = _checked(tmp_path / "keys.yaml", content)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
