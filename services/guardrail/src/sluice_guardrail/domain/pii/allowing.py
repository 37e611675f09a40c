"""What a policy's author knows not to be personal."""

import re
from collections.abc import Iterable

from sluice_guardrail.domain.pii.recogniser import Candidate

_SEPARATORS = re.compile(r"[^0-9a-z]+")


class AllowList:
    """Exact values, and domains of e-mail addresses."""

    def __init__(self, entries: Iterable[str]) -> None:
        listed = frozenset(entry.strip().lower().removeprefix("@") for entry in entries)
        self._listed = listed | {_SEPARATORS.sub("", entry) for entry in listed}

    def holds(self, candidate: Candidate) -> bool:
        """True where the candidate is not personal."""
        _, at, domain = candidate.value.rpartition("@")
        labels = domain.split(".") if at else []
        domains = {".".join(labels[index:]) for index in range(len(labels))}
        return candidate.value in self._listed or not self._listed.isdisjoint(domains)
