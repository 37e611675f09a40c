"""The policies in force, kept on disk with their modules: a restart must not cost a policy its last good version."""

import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from sluice_guardrail.domain.checks import Policy

_LOG = logging.getLogger(__name__)
_POLICIES = TypeAdapter(dict[str, Policy])


class KeptPolicies:
    """A file of policies."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[str, Policy]:
        """Those that were in force last; none where that cannot be read, or was written by another version."""
        try:
            return _POLICIES.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _LOG.warning("the kept policies cannot be read: %s", error)
            return {}

    def write(self, policies: Mapping[str, Policy]) -> None:
        """Replaces them. A disk that is full costs only what a later start might need."""
        partial = self._file.with_suffix(".partial")
        try:
            partial.write_bytes(_POLICIES.dump_json(dict(policies), by_alias=True))
            partial.replace(self._file)
        except OSError as error:
            _LOG.warning("the policies in force cannot be kept: %s", error)
