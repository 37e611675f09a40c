"""What a request prefers (RFC 7240): to be answered at once that it was taken on, and how long it waits for more."""

import re
from dataclasses import dataclass

from fastapi import Request

from sluice_gateway.http.runs import MAX_WAIT
from sluice_servicekit.errors import InvalidArgument

_WAIT = re.compile(r"^wait\s*=\s*\"?(\d{1,9})\"?$")


@dataclass(frozen=True, slots=True)
class Preference:
    """What the `Prefer` header says."""

    asynchronous: bool = False
    wait: int = 0
    """Seconds to wait for the run's end before answering that it goes on."""


def preference(request: Request) -> Preference:
    """What the caller prefers; what is not known is ignored, as the RFC has it.

    Raises:
        InvalidArgument: it waits longer than a request may.
    """
    asynchronous, wait = False, 0
    for header in request.headers.getlist("prefer"):
        for part in header.split(","):
            word = part.strip().lower()
            asynchronous |= word == "respond-async"
            if match := _WAIT.match(word):
                wait = int(match[1])
    if wait > MAX_WAIT:
        raise InvalidArgument(f"Prefer: wait may be {MAX_WAIT} seconds at most", field="Prefer")
    return Preference(asynchronous, wait)
