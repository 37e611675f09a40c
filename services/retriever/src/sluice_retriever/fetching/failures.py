"""Why a URL gave no document: a reason for programs, and words for people."""

from typing import ClassVar


class Unfetched(Exception):
    """Base of both."""

    reason: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.reason}: {super().__str__()}"


class NotAllowed(Unfetched):
    """The retriever does not go there."""

    reason = "URL_NOT_ALLOWED"


class FetchFailed(Unfetched):
    """It went there, and no document came of it."""

    reason = "FETCH_FAILED"
