"""Files that hold a secret: made once, readable by their owner alone."""

import os
import stat
from pathlib import Path

from sluice_servicekit.errors import FailedPrecondition

#: The least that a secret has.
SECRET_BYTES = 32


def make_once(path: Path, content: bytes) -> None:
    """Makes the file where there is none, whole or not at all; of several that try at once one wins.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists():  # a secret that is mounted lies where nobody may write
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    try:
        os.link(partial, path)  # unlike a rename, this never replaces a secret that is there
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def read_secret(path: Path, name: str) -> bytes:
    """The file's content.

    Args:
        name: What messages call it.

    Raises:
        FailedPrecondition: there is no such file, others may read it, or it is too short for a secret.
    """
    try:
        mode, secret = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise FailedPrecondition(f"{name} {path} cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):  # its group may read it: that is how Kubernetes mounts secrets
        raise FailedPrecondition(f"others may read {name} {path}; run: chmod 600 {path}")
    if len(secret) < SECRET_BYTES:
        raise FailedPrecondition(f"{name} {path} is shorter than {SECRET_BYTES} bytes")
    return secret
