"""What was redacted from a run's request, sealed, so that it can travel with the run and be put back into its answer.

A sealed vault is a header (format, key id, nonce) and the values under AES-256-GCM (NIST SP 800-38D). The header and
what the vault is bound to are authenticated with it: nobody else's, and no other run's, can be opened.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sluice_guardrail.domain.redacting.placeholders import Placeholder
from sluice_servicekit.errors import FailedPrecondition, InvalidArgument

#: Bytes of a key.
KEY_BYTES = 32
_FORMAT = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(_FORMAT) + _ID_BYTES + _NONCE_BYTES
#: The largest vault, in bytes: it travels with every call of its run.
_MOST_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Key:
    """A key. Its id is in every vault that it seals, and says nothing about it."""

    secret: bytes = field(repr=False)
    id: bytes

    @classmethod
    def of(cls, secret: bytes) -> "Key":
        """The key of a secret of `KEY_BYTES` bytes."""
        return cls(secret, hashlib.sha256(b"sluice vault key id\0" + secret).digest()[:_ID_BYTES])


@dataclass(frozen=True, slots=True)
class Binding:
    """Whose a vault is. It opens for the same alone."""

    tenant: str
    run_id: str
    policy: str

    def data(self, header: bytes) -> bytes:
        """To be authenticated. Lengths first, so that no two bindings give the same."""
        parts = (part.encode() for part in (self.tenant, self.run_id, self.policy))
        return header + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class Vault:
    """Seals and opens. Thread-safe; holds keys and nothing else."""

    def __init__(
        self, keys: Sequence[Key], seconds: float = 3600.0, now: Callable[[], float] = time.time
    ) -> None:
        """The first key seals, all of them open. A sealed vault opens for `seconds`."""
        self._keys = {key.id: key for key in reversed(keys)}
        self._newest = keys[0]
        self._seconds = seconds
        self._now = now

    def seal(self, values: Mapping[Placeholder, str], binding: Binding) -> bytes:
        """The values, sealed; empty where there are none.

        Raises:
            InvalidArgument: the run has no id that they could be bound to, or there are too many.
        """
        if not values:
            return b""
        if not binding.run_id:
            raise InvalidArgument("the policy redacts reversibly, which takes the run's id", field="run_id")
        held = {placeholder.name: value for placeholder, value in values.items()}
        content = json.dumps({"expires": int(self._now() + self._seconds), "values": held}).encode()
        if len(content) > _MOST_BYTES:
            raise InvalidArgument(
                f"what is to be redacted takes {len(content)} bytes, more than the {_MOST_BYTES} that can travel",
                reason="VAULT_TOO_LARGE",
                field="segments",
            )
        header = _FORMAT + self._newest.id + secrets.token_bytes(_NONCE_BYTES)
        return header + AESGCM(self._newest.secret).encrypt(
            header[-_NONCE_BYTES:], content, binding.data(header)
        )

    def open(self, sealed: bytes, binding: Binding) -> dict[Placeholder, str]:
        """The values; none for an empty vault.

        Raises:
            InvalidArgument: it is no vault, was changed, or is another tenant's, run's or policy's.
            FailedPrecondition: its key is not here, or it has expired.
        """
        if not sealed:
            return {}
        header = sealed[:_HEADER_BYTES]
        if len(header) < _HEADER_BYTES or header[:1] != _FORMAT:
            raise _invalid("it is not one of this version")
        key = self._keys.get(header[1 : 1 + _ID_BYTES])
        if key is None:
            raise FailedPrecondition(
                "the vault was sealed with a key that is not here; all replicas of the guardrail need the same keys",
                reason="VAULT_KEY_UNKNOWN",
            )
        try:
            content = AESGCM(key.secret).decrypt(
                header[-_NONCE_BYTES:], sealed[_HEADER_BYTES:], binding.data(header)
            )
        except InvalidTag:
            raise _invalid("it was changed, or it is another tenant's, run's or policy's") from None
        held = json.loads(content)
        if self._now() > held["expires"]:
            raise FailedPrecondition(
                f"the vault has expired: it opens for {self._seconds:g} seconds", reason="VAULT_EXPIRED"
            )
        named = ((Placeholder.named(name), value) for name, value in held["values"].items())
        return {placeholder: value for placeholder, value in named if placeholder is not None}


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(f"the vault cannot be opened: {why}", reason="VAULT_INVALID", field="vault")
