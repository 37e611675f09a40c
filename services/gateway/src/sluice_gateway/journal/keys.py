"""The journal's secret: made once, readable by its owner alone."""

import secrets
import stat
from pathlib import Path

from sluice_gateway.journal.chain import Keys
from sluice_servicekit.errors import FailedPrecondition
from sluice_servicekit.secret_files import make_once

_BYTES = 32


def load_or_create(path: Path) -> Keys:
    """The keys, from a secret that is made where there is none.

    Raises:
        FailedPrecondition: others may read the file, or it is not a secret.
    """
    make_once(path, secrets.token_bytes(_BYTES))
    return load(path)


def load(path: Path) -> Keys:
    """The keys.

    Raises:
        FailedPrecondition: there is no such file, others may read it, or it is not a secret.
    """
    try:
        mode, secret = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise FailedPrecondition(f"the journal's key {path} cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise FailedPrecondition(f"others may read the journal's key {path}; run: chmod 600 {path}")
    if len(secret) < _BYTES:
        raise FailedPrecondition(f"the journal's key {path} is shorter than {_BYTES} bytes")
    return Keys.derived(secret)
