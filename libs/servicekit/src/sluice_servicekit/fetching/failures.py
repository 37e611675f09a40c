"""Why a URL gave nothing: a reason for programs, and words for people."""

from typing import ClassVar


class Unfetched(Exception):
    """Base of both."""

    reason: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.reason}: {super().__str__()}"


class NotAllowed(Unfetched):
    """The service does not go there."""

    reason = "URL_NOT_ALLOWED"


class FetchFailed(Unfetched):
    """It went there, and nothing came of it."""

    reason = "FETCH_FAILED"
