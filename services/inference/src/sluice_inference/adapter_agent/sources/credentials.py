"""Credentials in files of the usual forms, read anew each time so that they can be rotated.

None of them is named by a source: each belongs to hosts, so whoever may write an adapter's object cannot have one sent
elsewhere.
"""

import base64
import binascii
import configparser
import json
import netrc
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sluice_servicekit.addresses import is_loopback
from sluice_servicekit.errors import FailedPrecondition

_REASON: Final = "CREDENTIALS_UNREADABLE"
_PERMANENT: Final = {"permanent": "true"}


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password."""

    user: str
    password: str

    @property
    def header(self) -> str:
        """As `Authorization` has it (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """A key of AWS or of a store that speaks its protocol."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


def may_carry(scheme: str, host: str) -> bool:
    """True where a password can be sent without others on the way reading it."""
    return scheme == "https" or is_loopback(host)


def token(path: Path | None) -> str:
    """The token in a file; empty where there is none.

    Raises:
        FailedPrecondition: the file cannot be read.
    """
    return "" if path is None else _text(path).strip()


def of_host(path: Path | None, host: str) -> Login | None:
    """A host's login in a `.netrc`. Its `default` is not used: it would be sent to whomever a source names.

    Raises:
        FailedPrecondition: the file cannot be read.
    """
    if path is None:
        return None
    _text(path)
    try:
        found = netrc.netrc(str(path)).hosts.get(host)
    except netrc.NetrcParseError as error:
        raise _unreadable(path, error.msg) from error
    return Login(found[0], found[2]) if found and host != "default" else None


def of_aws(path: Path | None) -> AwsKeys | None:
    """The profile `default` of an AWS credentials file.

    Raises:
        FailedPrecondition: the file cannot be read, or has none.
    """
    if path is None:
        return None
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(_text(path))
        profile = parser["default"]
        return AwsKeys(
            profile["aws_access_key_id"],
            profile["aws_secret_access_key"],
            profile.get("aws_session_token", ""),
        )
    except (configparser.Error, KeyError) as error:
        raise _unreadable(path, "it has no whole [default]") from error


def of_registry(path: Path | None, registry: str) -> Login | None:
    """A registry's login in a `config.json` of Docker, which is what a Secret of Kubernetes for images holds.

    Raises:
        FailedPrecondition: the file cannot be read.
    """
    if path is None:
        return None
    try:
        auths = json.loads(_text(path)).get("auths", {})
        entries = {_registry(name): entry for name, entry in auths.items()}
        entry = entries.get(registry)
        return None if entry is None else _login(entry)
    except (ValueError, AttributeError, TypeError, binascii.Error) as error:
        raise _unreadable(path, "it is no Docker configuration") from error


def _login(entry: Any) -> Login:
    if "auth" in entry:
        user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        return Login(user, password)
    return Login(entry.get("username", ""), entry.get("password", ""))


def _registry(name: str) -> str:
    """`https://index.docker.io/v1/` and its like, as images name the registry."""
    host = name.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host == "index.docker.io" else host


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, getattr(error, "strerror", "") or "it is not UTF-8") from error


def _unreadable(path: Path, why: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"credentials in {path} cannot be read: {why}", reason=_REASON, metadata=_PERMANENT
    )
