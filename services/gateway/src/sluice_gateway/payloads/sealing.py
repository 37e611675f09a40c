"""Seals payloads with a key of their run's own, and wraps that key. Pure.

AES-256-GCM (NIST SP 800-38D). A run's key seals few payloads, each with a random nonce. It is itself wrapped with a key
derived for this run and this end of its life alone, so that random nonces never add up to many under one key.
"""

import hashlib
import hmac
import secrets
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sluice_gateway.payloads.keys import WrappingKey, bound
from sluice_gateway.payloads.port import MAX_BYTES, PayloadTampered

_KEY_BITS = 256
_NONCE = 12

#: The first byte of what is sealed.
_PLAIN, _DEFLATED = b"\x00", b"\x01"

#: Bytes below which nothing is won by compressing.
_WORTH_DEFLATING = 256


def new_run_key() -> bytes:
    """A random key."""
    return AESGCM.generate_key(_KEY_BITS)


def wrap(key: WrappingKey, tenant: str, run_id: str, expires: int, run_key: bytes) -> bytes:
    """The run's key, sealed. It opens for this run and this end of its life alone."""
    nonce = secrets.token_bytes(_NONCE)
    wrapping = AESGCM(key.derived("wrap", tenant, run_id, str(expires)))
    return nonce + wrapping.encrypt(nonce, run_key, None)


def unwrap(key: WrappingKey, tenant: str, run_id: str, expires: int, wrapped: bytes) -> bytes:
    """The run's key.

    Raises:
        PayloadTampered: it was not wrapped for this run and this end of its life.
    """
    wrapping = AESGCM(key.derived("wrap", tenant, run_id, str(expires)))
    return _opened(wrapping, wrapped, None, run_id)


def packed(content: bytes) -> bytes:
    """The content as it is sealed: deflated where that helps."""
    if len(content) >= _WORTH_DEFLATING:
        deflated = zlib.compress(content, 1)
        if len(deflated) < len(content):
            return _DEFLATED + deflated
    return _PLAIN + content


def seal(run_key: bytes, tenant: str, run_id: str, name: str, content: bytes) -> bytes:
    """A packed payload, sealed. It opens in this place alone."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(run_key).encrypt(nonce, content, bound(tenant, run_id, name))


def unseal(run_key: bytes, tenant: str, run_id: str, name: str, sealed: bytes) -> bytes:
    """The payload's content.

    Raises:
        PayloadTampered: it was not sealed with this key for this place.
    """
    content = _opened(AESGCM(run_key), sealed, bound(tenant, run_id, name), run_id)
    if content[:1] == _PLAIN:
        return content[1:]
    return zlib.decompressobj().decompress(content[1:], MAX_BYTES)


def tag(key: WrappingKey, tenant: str, run_id: str, name: str, content: bytes) -> bytes:
    """What says that content that is kept in plain is ours: nobody can put other content in a sealed one's place."""
    return hmac.digest(key.derived("plain", tenant, run_id, name), content, hashlib.sha256)


def check(key: WrappingKey, tenant: str, run_id: str, name: str, content: bytes, found: bytes) -> None:
    """Raises `PayloadTampered` where plain content is not ours."""
    try:
        genuine = hmac.compare_digest(tag(key, tenant, run_id, name, content), found)
    except TypeError:
        genuine = False
    if not genuine:
        raise _tampered(run_id)


def _opened(key: AESGCM, sealed: bytes, place: bytes | None, run_id: str) -> bytes:
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
    except (InvalidTag, ValueError, TypeError) as error:  # SQLite holds anything in any column
        raise _tampered(run_id) from error


def _tampered(run_id: str) -> PayloadTampered:
    return PayloadTampered(f"a payload of the run {run_id} is not what was kept there")
