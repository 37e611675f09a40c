"""Control characters: what terminals obey in a text. Pure."""

import re

#: C0 but tab and line feed, DEL, C1.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    """A text without the characters that terminals obey."""
    return CONTROLS.sub("", text)
