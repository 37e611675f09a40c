"""JSON Web Tokens (RFC 7519, RFC 8725) of the issuers that the keys file names → principals."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import jwt

from sluice_gateway.access.keys_of_issuers import IssuerKeys
from sluice_gateway.domain.access_file import Issuer
from sluice_gateway.domain.claims import invalid, principal_of
from sluice_gateway.domain.model import Principal
from sluice_servicekit.errors import Unauthenticated

_MAX_LENGTH = 16_384

_REQUIRED = ["exp", "iss", "aud"]


class IssuedTokens:
    """Checks tokens. Signatures are checked here, with keys that `prepare` and `refresh` have read."""

    def __init__(
        self,
        issuers: Iterable[Issuer],
        before: "IssuedTokens | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts with the keys that `before` has read of the same issuers."""
        self.issuers = {issuer.issuer: IssuerKeys(issuer, clock) for issuer in issuers}
        for name, keys in self.issuers.items():
            if before is not None and name in before.issuers:
                keys.take_over(before.issuers[name])

    def principal(self, token: str) -> Principal | None:
        """See `domain.access.Tokens`."""
        if not _looks_like_one(token):
            return None
        keys, kid = self._keys_for(token)
        if keys is None:
            raise invalid("its issuer is not known here")
        key = keys.key(kid)
        if key is None:
            raise invalid("its issuer has no such key")
        issuer = keys.issuer
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(issuer.algorithms),
                audience=list(issuer.audience),
                issuer=issuer.issuer,
                leeway=issuer.leeway,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError as error:
            raise invalid(_WHY.get(type(error), "it cannot be checked")) from None
        return principal_of(claims, issuer)

    async def prepare(self, authorization: str | None) -> None:
        """Reads the keys again where a token is signed with one that is not known; to be called before `principal`."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and _looks_like_one(token.strip()):
            with suppress(Unauthenticated):  # `principal` says so
                keys, kid = self._keys_for(token.strip())
                if keys is not None:
                    await keys.look_for(kid)

    async def refresh(self) -> None:
        """Reads keys again that have not been read for some minutes."""
        await asyncio.gather(*(keys.refresh() for keys in self.issuers.values()))

    def _keys_for(self, token: str) -> tuple[IssuerKeys | None, str | None]:
        """Whose token it says it is, and its key's id; nothing of it is checked yet.

        Raises:
            Unauthenticated: it cannot be read.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            raise invalid("it cannot be read") from None
        issuer = claims.get("iss")
        return (self.issuers.get(issuer) if isinstance(issuer, str) else None), kid


_WHY: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.InvalidAlgorithmError: "it is signed with an algorithm that is not taken",
    jwt.InvalidSignatureError: "its signature does not fit",
    jwt.MissingRequiredClaimError: "it lacks one of exp, iss, aud",
}


def _looks_like_one(token: str) -> bool:
    return len(token) <= _MAX_LENGTH and token.count(".") == 2 and token.startswith("ey")
