"""The vault's keys: from a file that all replicas share, or made once for this data folder."""

import base64
import binascii
import logging
import secrets
import stat
from pathlib import Path

from sluice_guardrail.domain.vault import KEY_BYTES, Key
from sluice_servicekit.errors import FailedPrecondition
from sluice_servicekit.secret_files import make_once

_LOG = logging.getLogger(__name__)

_NAME = "vault.key"


def find(key_file: Path | None, secrets_dir: Path | None, data_dir: Path) -> list[Key]:
    """The keys of `key_file`, else of `vault.key` among the secrets, else of one in the data folder, which is made
    where there is none.

    Raises:
        FailedPrecondition: the file that is named cannot be used.
    """
    if key_file is not None:
        return load(key_file)
    if secrets_dir is not None and (secrets_dir / _NAME).exists():
        return load(secrets_dir / _NAME)
    own = data_dir / _NAME
    try:
        if not own.exists():  # the folder may by now be read-only
            make_once(own, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    except OSError as error:
        _LOG.warning(
            "the vault's key is random, for %s cannot be written (%s): what was redacted reversibly is lost at a "
            "restart; set SLUICE_VAULT_KEY_FILE",
            own,
            error.strerror,
        )
        return [Key.of(secrets.token_bytes(KEY_BYTES))]
    _LOG.info("the vault's key is %s; replicas need one that they share, SLUICE_VAULT_KEY_FILE", own)
    return load(own)


def load(path: Path) -> list[Key]:
    """The keys of a file, one a line in base64, `#` before a remark; the first seals, all of them open.

    Raises:
        FailedPrecondition: it cannot be read, everybody may read it, or a line is no key.
    """
    try:
        mode, lines = path.stat().st_mode, path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FailedPrecondition(f"the vault's keys {path} cannot be read: {error}") from error
    if mode & stat.S_IRWXO:
        raise FailedPrecondition(f"everybody may read the vault's keys {path}; run: chmod 600 {path}")
    keys = [
        _key(path, number, line) for number, line in enumerate(lines, 1) if line.partition("#")[0].strip()
    ]
    if not keys:
        raise FailedPrecondition(f"there is no key in {path}")
    return keys


def _key(path: Path, number: int, line: str) -> Key:
    try:
        secret = base64.b64decode(line.partition("#")[0].strip(), validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise FailedPrecondition(f"{path}:{number}: a key is {KEY_BYTES} bytes in base64")
    return Key.of(secret)
