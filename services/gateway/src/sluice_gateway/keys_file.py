"""The keys file, or a folder of them: read at start, read again when it changes; a broken one leaves what was."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sluice_gateway.access.tokens import IssuedTokens
from sluice_gateway.domain.access import Access
from sluice_gateway.domain.access_file import KeysFile
from sluice_servicekit.errors import FailedPrecondition

_LOG = logging.getLogger(__name__)

_LISTS = ("keys", "issuers")

Stamp = tuple[tuple[str, int, int, int], ...]


class KeysFileWatch:
    """Gives the access in force. With no file the gateway is open."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._tokens: IssuedTokens | None = None
        self._access = self._read()

    @property
    def current(self) -> Access:
        """The access in force."""
        return self._access

    async def prepare(self, authorization: str | None) -> None:
        """Reads what a token is checked with, where that is not known; see `IssuedTokens.prepare`."""
        if self._tokens is not None:
            await self._tokens.prepare(authorization)

    async def refresh_tokens(self) -> None:
        """Reads the keys of issuers again, where that was long ago."""
        if self._tokens is not None:
            await self._tokens.refresh()

    def refresh(self) -> None:
        """Reads the file again where it has changed."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._access = self._read()
        except FailedPrecondition as error:
            _LOG.error(
                "%s; the keys that were stay in force", error.message
            )  # without the trace, which may hold keys
        else:
            _LOG.info("API keys read again")

    def _read(self) -> Access:
        if self._path is None:
            return Access()
        content = read_keys(self._path)
        if plain := [entry.name for entry in content.keys if entry.key is not None]:
            _LOG.warning(
                "the API keys file holds %d keys as they are (%s): replace each by key_sha256, or by a new one of "
                "`sluice keys new`",
                len(plain),
                ", ".join(plain[:10]),
            )
        self._tokens = IssuedTokens(content.issuers, self._tokens) if content.issuers else None
        return Access.from_file(content, self._tokens)


def read_keys(path: Path) -> KeysFile:
    """The entries of a keys file, or of all files in a folder but hidden ones.

    Raises:
        FailedPrecondition: it cannot be read, or is not a keys file. The message holds nothing of its content.
    """
    merged: dict[str, Any] = {}
    for file in _files(path):
        content = _parsed(file)
        if not isinstance(content, dict):
            raise FailedPrecondition(f"the API keys file {file} is not valid: it must hold keys or issuers")
        if file != path:
            _merge(merged, content, file)
        else:
            merged = content
    found = _checked(path, merged)
    issuers = [
        issuer
        if issuer.jwks_file is None
        else issuer.model_copy(update={"jwks_file": str(_folder(path) / issuer.jwks_file)})
        for issuer in found.issuers
    ]
    return found.model_copy(update={"issuers": tuple(issuers)})


def _checked(path: Path, content: object) -> KeysFile:
    try:
        return KeysFile.model_validate(content)
    except ValidationError as error:
        where = "; ".join(
            ": ".join(filter(None, [".".join(str(part) for part in detail["loc"]), detail["msg"]]))
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise FailedPrecondition(f"the API keys file {path} is not valid: {where}") from None


def _parsed(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FailedPrecondition(f"the API keys file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise FailedPrecondition(f"the API keys file {path} is not UTF-8") from None
    except yaml.YAMLError:
        raise FailedPrecondition(f"the API keys file {path} is not YAML") from None


def _merge(merged: dict[str, Any], content: dict[str, Any], file: Path) -> None:
    """Lists follow each other; a tenant and the defaults may be in one file alone."""
    for name, value in content.items():
        if name in _LISTS and isinstance(value, list):
            merged.setdefault(name, []).extend(value)
        elif name == "tenants" and isinstance(value, dict):
            known = merged.setdefault(name, {})
            if twice := sorted(set(known) & set(value)):
                raise FailedPrecondition(
                    f"{file}: another file of the folder has the tenant {twice[0]!r} too"
                )
            known.update(value)
        elif name in merged:
            raise FailedPrecondition(f"{file}: another file of the folder has {name!r} too")
        else:
            merged[name] = value


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _files(path: Path) -> list[Path]:
    """As Kubernetes mounts a Secret: links beside hidden folders."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if not file.name.startswith(".") and file.is_file())
    if not found:
        raise FailedPrecondition(f"the folder of API keys {path} holds no file")
    return found


def _stamp(path: Path | None) -> Stamp | None:
    try:
        return None if path is None else tuple(_stamps(path))
    except (OSError, FailedPrecondition):
        return None


def _stamps(path: Path) -> Iterator[tuple[str, int, int, int]]:
    for file in _files(path):
        found = file.stat()
        yield file.name, found.st_mtime_ns, found.st_ino, found.st_size
