"""The public keys (JWKS) that issuers sign with: fetched or read, kept, read again; the last good ones stay."""

import asyncio
import json
import logging
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt

from sluice_gateway.domain.access_file import Issuer, fetchable
from sluice_servicekit.errors import Unavailable

_LOG = logging.getLogger(__name__)

#: Seconds for one answer, and the largest.
_TIMEOUT = 5.0
_MAX_BYTES = 1 << 20

#: Seconds between two looks at keys that are known, and between two looks for one that is not.
_REFRESH = 300.0
_SOONEST = 10.0

#: Of documents that discovery finds.
_DISCOVERY = "/.well-known/openid-configuration"

Keys = Mapping[str, jwt.PyJWK]


class IssuerKeys:
    """The keys of one issuer.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, issuer: Issuer, clock: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._clock = clock
        self._keys: Keys | None = None
        self._looked = -math.inf
        self._looking: asyncio.Task[None] | None = None

    @property
    def read(self) -> tuple[Keys | None, float]:
        """The keys, and when they were last looked for."""
        return self._keys, self._looked

    def take_over(self, before: "IssuerKeys") -> None:
        """Starts with what has been read before from the same place."""
        places = [
            (keys.issuer.issuer, keys.issuer.jwks_url, keys.issuer.jwks_file) for keys in (self, before)
        ]
        if places[0] == places[1]:
            self._keys, self._looked = before.read

    def key(self, kid: str | None) -> jwt.PyJWK | None:
        """A key by its id; None where there is none such. A token without an id may only be of an issuer with one key.

        Raises:
            Unavailable: none have ever been read.
        """
        if self._keys is None:
            raise Unavailable(
                f"the keys of the issuer {self.issuer.id} cannot be read yet", retry_after=_SOONEST
            )
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def look_for(self, kid: str | None) -> None:
        """Reads the keys again where this one is not known, unless that was done just now."""
        known = self._keys is not None and (kid is None or kid in self._keys)
        if not known:
            await self.refresh(_SOONEST)

    async def refresh(self, at_least: float = _REFRESH) -> None:
        """Reads the keys again where so many seconds have gone by; whoever else asks meanwhile waits with the first.
        What cannot be read leaves the keys that were."""
        if self._looking is None and self._clock() - self._looked >= at_least:
            self._looked = self._clock()
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._done)
        if self._looking is not None:
            await asyncio.wait([self._looking])

    def _done(self, _: "asyncio.Task[None]") -> None:
        self._looking = None

    async def _look(self) -> None:
        try:
            found = await asyncio.to_thread(_read, self.issuer)
        except (OSError, ValueError, jwt.PyJWTError) as error:
            # HTTP errors are OSErrors; what a server sent is not to be logged
            kept = "the keys that were stay in force" if self._keys else "its tokens cannot be checked"
            _LOG.error("the keys of the issuer %s cannot be read (%s): %s", self.issuer.id, _why(error), kept)
            return
        if self._keys is None or set(found) != set(self._keys):
            _LOG.info("the issuer %s has %d keys", self.issuer.id, len(found))
        self._keys = found


def _read(issuer: Issuer) -> Keys:
    if issuer.jwks_file is not None:
        return parsed(json.loads(Path(issuer.jwks_file).read_text(encoding="utf-8")))
    url = issuer.jwks_url
    if url is None:
        document = _fetched(issuer.issuer.rstrip("/") + _DISCOVERY)
        if document.get("issuer") != issuer.issuer:
            raise ValueError("the discovery document is of another issuer")
        url = fetchable(str(document.get("jwks_uri")))
    return parsed(_fetched(url))


def parsed(document: Mapping[str, Any]) -> Keys:
    """The keys of a JWKS by their ids, without those that may verify no signature: shared secrets, keys to encrypt.

    Raises:
        ValueError: there is none left.
    """
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise ValueError("no list of keys")
    usable: dict[str, jwt.PyJWK] = {}
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
            continue
        try:
            usable[str(entry.get("kid", ""))] = jwt.PyJWK(entry)
        except jwt.PyJWTError:
            continue  # of a kind that is not known here; others may be
    if not usable:
        raise ValueError("no key that can be used")
    return usable


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Keys come from where the operator said, not from where that points to."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _fetched(url: str) -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"accept": "application/json"})  # noqa: S310 - checked when parsed
    with _OPENER.open(request, timeout=_TIMEOUT) as response:
        content = response.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("too large")
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return type(error.reason).__name__ if isinstance(error.reason, Exception) else str(error.reason)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) if type(error) is ValueError else type(error).__name__
