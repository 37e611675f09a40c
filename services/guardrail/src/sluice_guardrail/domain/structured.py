"""An answer in JSON as the sentences that it holds. Pure."""

import re

#: A name with its colon, a string, an escape outside of both, a sign of the structure.
_TOKEN = re.compile(r'"(?P<inner>(?:[^"\\]|\\.)*)"(?P<colon>\s*:)?|[][{},]', re.S)
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)", re.S)


def as_prose(text: str) -> str:
    """The values alone, each at its place: names, quotation marks and escapes are blanks, brackets and commas end a
    line. Text that is no JSON stays as it is, but for what looks like it."""
    return _TOKEN.sub(_plain, text)


def _plain(token: re.Match[str]) -> str:
    inner = token["inner"]
    if inner is None:
        return "\n"
    if token["colon"] is not None:
        return " " * len(token[0])
    return " " + _ESCAPE.sub(lambda escape: " " * len(escape[0]), inner) + " "
