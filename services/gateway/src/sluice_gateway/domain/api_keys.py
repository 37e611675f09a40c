"""What a key of ours looks like: `sluice_`, 32 random letters and digits, and six of a checksum. Pure.

The prefix and the checksum let secret scanners find a key that has leaked, and only keys, as GitHub's tokens do
("Behind GitHub's new authentication token formats", 2021): `sluice_[0-9A-Za-z]{38}`.
"""

import re
import string
import zlib
from collections.abc import Callable

PREFIX = "sluice_"

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM = 32  # 190 bits
_CHECKSUM = 6

_SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECKSUM}}})")


def new_key(choice: Callable[[str], str]) -> str:
    """A new key.

    Args:
        choice: Gives one of the characters of a text, as `secrets.choice` does.
    """
    body = "".join(choice(_DIGITS) for _ in range(_RANDOM))
    return PREFIX + body + _checksum(body)


def is_whole(key: str) -> bool:
    """True where a key of this shape was neither mistyped nor cut off."""
    found = _SHAPE.fullmatch(key)
    return found is not None and _checksum(found[1]) == found[2]


def _checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
