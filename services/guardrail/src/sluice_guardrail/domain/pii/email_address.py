"""E-mail addresses of persons."""

import re
from collections.abc import Iterator
from typing import ClassVar

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.pii.recogniser import Candidate, Scan

#: Characters that RFC 5321 allows on either side; what is longer is no address.
_LONGEST_LOCAL = 64
_LONGEST_DOMAIN = 253
#: From here on lie the scripts in which a word directly precedes the address.
_WITHOUT_BLANKS = "\u2e80"
_LOCAL_SIGNS = frozenset("._%+-'")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}"
    r"(?P<top>[A-Za-z]{2,24}(?![0-9A-Za-z_@(-])|[^\W\d_]{2,24}(?![\w@(-]))"
)
#: Endings of file names that follow an `@` in practice: `logo@2x.png`, `bundle@next.js`.
_FILE_ENDINGS = frozenset(
    "png jpg jpeg gif svg webp avif ico css scss js ts jsx tsx json md py yaml yml".split()
)
#: Mailboxes of a function rather than of a person.
_ROLES = frozenset(
    """
    abuse admin billing contact feedback git hello help hg hostmaster info jobs legal mail marketing media news
    newsletter noreply no-reply donotreply office orders postmaster press privacy root sales security service support
    team webmaster
    """.split()
)
_PERSON, _ROLE = 0.9, 0.3


class EmailRecogniser:
    """Goes from one `@` to the next and looks at what stands around it."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.EMAIL,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each address; what a function reads scores low."""
        text = scan.text
        at = text.find("@")
        while at >= 0:
            start = _local_start(text, at)
            domain = _DOMAIN.match(text, at + 1, at + 1 + _LONGEST_DOMAIN)
            is_file = domain is not None and domain["top"].lower() in _FILE_ENDINGS
            if start < at and domain and not is_file and not _is_login(text, start):
                score = _ROLE if text[start:at].lower().split("+")[0] in _ROLES else _PERSON
                value = text[start : domain.end()].lower()
                yield Candidate(PiiEntity.EMAIL, Span(start, domain.end()), score, value)
            at = text.find("@", at + 1)


def _local_start(text: str, at: int) -> int:
    """Where the part before the `@` starts; `at` where there is none that is allowed."""
    start = at
    while start > 0 and _is_local(text[start - 1]):
        start -= 1
        if at - start > _LONGEST_LOCAL:
            return at
    while start < at and text[start] in _LOCAL_SIGNS:  # a quotation mark or a full stop before it
        start += 1
    return start if text[at - 1] not in ".'" else at


def _is_local(character: str) -> bool:
    return (character.isalnum() and character < _WITHOUT_BLANKS) or character in _LOCAL_SIGNS


def _is_login(text: str, start: int) -> bool:
    """True within a URL's user and password, `scheme://user:password@host`."""
    return "://" in text[max(0, start - _LONGEST_LOCAL) : start].rpartition(" ")[2]
