"""Short texts with a signature: checkpoints and stubs, kept where an attacker may write. Pure."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


class ForgedError(ValueError):
    """A text whose signature does not match, or that cannot be read."""


def signed(key: bytes, content: Mapping[str, object]) -> str:
    """The content as JSON, with its signature in it."""
    return json.dumps({**content, "signature": _signature(key, content)})


def opened(key: bytes, text: str) -> dict[str, Any]:
    """What was signed.

    Raises:
        ForgedError: the signature is not of this key and content.
    """
    try:
        content = json.loads(text)
        signature = content.pop("signature")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ForgedError("it cannot be read") from error
    if not isinstance(signature, str) or not hmac.compare_digest(
        signature.encode(errors="replace"), _signature(key, content).encode()
    ):
        raise ForgedError("the signature does not match")
    return dict(content)


def _signature(key: bytes, content: Mapping[str, object]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, canonical.encode(), hashlib.sha256).hex()
