"""Clients in other languages, as `make clients` installs them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[2]
_INSTALLED = _PROJECT / ".cache" / "clients"


def is_there() -> bool:
    """Whether Node and its packages are here."""
    return shutil.which("node") is not None and (_INSTALLED / "node_modules" / "openai").is_dir()


def node(script: str, *arguments: str) -> Any:
    """What a script of `tests/clients/node` prints, which is JSON."""
    # Node looks for packages beside the script.
    copied = shutil.copy(_PROJECT / "tests" / "clients" / "node" / script, _INSTALLED)
    done = subprocess.run(
        ["node", copied, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
