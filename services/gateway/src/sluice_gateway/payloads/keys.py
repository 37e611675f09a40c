"""The keys that wrap runs' keys: of a file that all replicas share, or made once for this data folder."""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from sluice_servicekit.errors import FailedPrecondition
from sluice_servicekit.secret_files import SECRET_BYTES, make_once, read_secret

#: The file in the data folder.
KEY = "payload.key"


@dataclass(frozen=True, slots=True)
class WrappingKey:
    """A secret, and a name that tells it from others and nothing of it."""

    name: str
    secret: bytes

    @classmethod
    def of(cls, secret: bytes) -> "WrappingKey":
        """The key of a secret."""
        return cls(hmac.digest(secret, b"sluice/payloads/name/v1", hashlib.sha256).hex()[:16], secret)

    def derived(self, label: str, *context: str) -> bytes:
        """A key for one purpose and one context alone."""
        return hmac.digest(self.secret, bound(f"sluice/payloads/{label}/v1", *context), hashlib.sha256)


@dataclass(frozen=True, slots=True)
class WrappingKeys:
    """The first wraps, all of them unwrap: so that one can follow another."""

    keys: tuple[WrappingKey, ...]

    @property
    def first(self) -> WrappingKey:
        """The one that wraps."""
        return self.keys[0]

    def named(self, name: str) -> WrappingKey:
        """The key of a name.

        Raises:
            FailedPrecondition: this gateway does not have it (`PAYLOAD_KEY_UNKNOWN`).
        """
        for key in self.keys:
            if key.name == name:
                return key
        raise FailedPrecondition(
            f"the payload was kept with the key {name}, which this gateway does not have; add it to the file that "
            "SLUICE_PAYLOAD_KEY_FILE names",
            reason="PAYLOAD_KEY_UNKNOWN",
        )


def bound(*parts: str) -> bytes:
    """Texts in a form in which no others come out the same."""
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


def load_or_create(path: Path) -> WrappingKeys:
    """The keys of a file, with one that is made where there is no file.

    Raises:
        FailedPrecondition: as `load`.
    """
    make_once(path, base64.b64encode(secrets.token_bytes(SECRET_BYTES)) + b"\n")
    return load(path)


def load(path: Path) -> WrappingKeys:
    """The keys of a file, one a line in base64, `#` before a remark.

    Raises:
        FailedPrecondition: it cannot be read, others may read it, or a line is no key.
    """
    lines = read_secret(path, "the payloads' key").decode(errors="replace").splitlines()
    given = [(number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
    keys = tuple(WrappingKey.of(_secret(path, number, line)) for number, line in given if line)
    if not keys:
        raise FailedPrecondition(f"there is no key in {path}")
    return WrappingKeys(keys)


def _secret(path: Path, number: int, line: str) -> bytes:
    try:
        secret = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise FailedPrecondition(f"{path}:{number}: a key is {SECRET_BYTES} bytes in base64")
    return secret
