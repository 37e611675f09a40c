"""A key that may change while the service runs."""

import logging
from pathlib import Path

from sluice_servicekit import secrets
from sluice_servicekit.errors import FailedPrecondition

_LOG = logging.getLogger(__name__)


class ApiKey:
    """A secret's content, read again when its file changes. Kubernetes puts another file in its place.

    Args:
        folder: `SLUICE_SECRETS_DIR`.
        secret: Its name; no key where it is empty.
        owner: Which object names it, for people.

    Raises:
        FailedPrecondition: it cannot be read.
    """

    def __init__(self, folder: Path | None = None, secret: str = "", owner: str = "") -> None:
        self._folder = folder
        self._secret = secret
        self._owner = owner
        self._seen = self._stamp()
        self._key = secrets.read(folder, secret, owner)

    def current(self) -> str:
        """The key; empty where there is none. The one before where the file cannot be read."""
        if self._secret and (stamp := self._stamp()) != self._seen:
            try:
                self._key = secrets.read(self._folder, self._secret, self._owner)
            except FailedPrecondition as error:
                _LOG.warning("the key before is still used: %s", error.message)
            self._seen = stamp
        return self._key

    def _stamp(self) -> tuple[int, int, int] | None:
        if not self._secret or self._folder is None:
            return None
        try:
            status = (self._folder / self._secret).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
