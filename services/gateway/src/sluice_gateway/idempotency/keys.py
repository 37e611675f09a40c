"""Idempotency keys: what one may be, whose it is, what it was sent with. Pure."""

import hashlib
import json
import re
from dataclasses import dataclass

from sluice_gateway.domain.model import Principal
from sluice_servicekit.errors import InvalidArgument

_MOST = 255
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request under a key. The key itself is kept nowhere."""

    id: str
    """Of tenant, subject and key."""
    tenant: str
    content: str
    """Of what the request asks for."""


def keyed(principal: Principal, key: str, operation: str, content: bytes, *, field: str) -> Keyed:
    """A request under a key, which is the principal's own: another subject's same key is another one.

    Args:
        operation: What is asked of the gateway, such as a path.
        content: The request, in a form that is the same where it asks the same.
        field: Where the key was, for the error.

    Raises:
        InvalidArgument: the key is not one (`INVALID_IDEMPOTENCY_KEY`).
    """
    if len(key) > _MOST or not _KEY.fullmatch(key):
        raise InvalidArgument(
            f"an idempotency key is 1 to {_MOST} visible ASCII characters without blanks; a UUID is a good one",
            reason="INVALID_IDEMPOTENCY_KEY",
            field=field,
        )
    owner = json.dumps([principal.tenant, principal.subject, key])
    return Keyed(
        hashlib.sha256(owner.encode()).hexdigest(),
        principal.tenant,
        hashlib.sha256(operation.encode() + b"\n" + content).hexdigest(),
    )


def canonical_json(content: bytes) -> bytes:
    """JSON with sorted keys and no blanks; what is no JSON stays as it is."""
    try:
        return json.dumps(json.loads(content), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return content
