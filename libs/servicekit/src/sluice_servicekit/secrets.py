"""Secrets: one file each in a folder, as Kubernetes mounts them."""

from pathlib import Path

from sluice_servicekit.errors import FailedPrecondition


def read(folder: Path | None, secret: str, owner: str) -> str:
    """What a secret holds, without blanks around it; empty where none is named.

    Args:
        folder: `SLUICE_SECRETS_DIR`.
        secret: Its name.
        owner: Which object names it, for people.

    Raises:
        FailedPrecondition: it cannot be read.
    """
    if not secret:
        return ""
    if folder is None or "/" in secret:
        raise FailedPrecondition(f"{owner} names the secret {secret!r}; set SLUICE_SECRETS_DIR to its folder")
    try:
        return (folder / secret).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FailedPrecondition(f"{owner}: secret {secret!r} cannot be read: {error.strerror}") from error
