"""Whether the gateway would take an API keys file, asked as the command line asks it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert json.loads(done.stdout) == {"keys": 2, "tenants": 2, "plain": 1}


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
