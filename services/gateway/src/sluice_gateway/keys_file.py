"""The API keys file: read at start, read again when it changes; a broken one leaves the keys that were."""

import logging
from pathlib import Path

import yaml
from pydantic import ValidationError

from sluice_gateway.domain.access import Access, KeysFile
from sluice_servicekit.errors import FailedPrecondition

_LOG = logging.getLogger(__name__)


class KeysFileWatch:
    """Gives the access in force. With no file the gateway is open."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._access = _read(path)

    @property
    def current(self) -> Access:
        """The access in force."""
        return self._access

    def refresh(self) -> None:
        """Reads the file again where it has changed."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._access = _read(self._path)
        except FailedPrecondition as error:
            _LOG.error(
                "%s; the keys that were stay in force", error.message
            )  # without the trace, which may hold keys
        else:
            _LOG.info("API keys read again")


def read_keys(path: Path) -> KeysFile:
    """The entries of a keys file.

    Raises:
        FailedPrecondition: it cannot be read, or is not a keys file. The message holds nothing of its content.
    """
    try:
        return KeysFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise FailedPrecondition(f"the API keys file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise FailedPrecondition(f"the API keys file {path} is not UTF-8") from None
    except yaml.YAMLError:
        raise FailedPrecondition(f"the API keys file {path} is not YAML") from None
    except ValidationError as error:
        where = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise FailedPrecondition(f"the API keys file {path} is not valid: {where}") from None


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_ino)


def _read(path: Path | None) -> Access:
    return Access() if path is None else Access.from_file(read_keys(path))
