"""The journal's secret: made once, readable by its owner alone."""

import secrets
from pathlib import Path

from sluice_gateway.journal.chain import Keys
from sluice_servicekit.secret_files import SECRET_BYTES, make_once, read_secret

_NAME = "the journal's key"


def load_or_create(path: Path) -> Keys:
    """The keys, from a secret that is made where there is none.

    Raises:
        FailedPrecondition: others may read the file, or it is not a secret.
    """
    make_once(path, secrets.token_bytes(SECRET_BYTES))
    return load(path)


def load(path: Path) -> Keys:
    """The keys.

    Raises:
        FailedPrecondition: there is no such file, others may read it, or it is not a secret.
    """
    return Keys.derived(read_secret(path, _NAME))
