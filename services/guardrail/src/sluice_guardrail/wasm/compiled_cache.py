"""Compiled modules on disk, so that a start need not compile them again.

Compiled code runs as it is: only what this service has written itself is taken. Each file carries a keyed digest of
its name and content; one that was changed, cut off or put in another's place is thrown away.
"""

import hmac
import logging
import os
import secrets
from hashlib import sha256
from pathlib import Path

_LOG = logging.getLogger(__name__)

_TAG_BYTES = 32
_KEY = "key"
#: Files that are kept; those written last.
_MOST_FILES = 64


class CompiledCache:
    """A folder of compiled modules, by name. Whoever can read its key can make it trust a file: it is of mode 0600."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._secret = _secret(folder / _KEY)

    def get(self, name: str) -> bytes | None:
        """What was put under a name; None where there is nothing, or not what was put there."""
        file = self._folder / f"{name}.compiled"
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        tag, compiled = content[:_TAG_BYTES], content[_TAG_BYTES:]
        if hmac.compare_digest(tag, self._tag(name, compiled)):
            return compiled
        _LOG.warning("%s is not what was written there: it is thrown away and compiled again", file)
        file.unlink(missing_ok=True)
        return None

    def put(self, name: str, compiled: bytes) -> None:
        """Keeps it. A disk that is full or gone costs the next start its time, and nothing else."""
        file = self._folder / f"{name}.compiled"
        partial = file.with_suffix(f".{secrets.token_hex(4)}.partial")
        try:
            partial.write_bytes(self._tag(name, compiled) + compiled)
            partial.replace(file)
            self._forget_oldest()
        except OSError as error:
            _LOG.warning("a compiled module cannot be kept: %s", error)
            partial.unlink(missing_ok=True)

    def _forget_oldest(self) -> None:
        kept = sorted(self._folder.glob("*.compiled"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
        for file in kept[_MOST_FILES:]:
            file.unlink(missing_ok=True)

    def _tag(self, name: str, compiled: bytes) -> bytes:
        return hmac.digest(self._secret, name.encode() + b"\0" + compiled, sha256)


def _secret(file: Path) -> bytes:
    """The folder's key, made where there is none; a key that others can read or that is no key is replaced."""
    try:
        known = file.read_bytes()
        if len(known) == _TAG_BYTES and file.stat().st_mode & 0o077 == 0:
            return known
        file.unlink()
    except FileNotFoundError:
        pass
    key = secrets.token_bytes(_TAG_BYTES)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        written.write(key)
    return key
