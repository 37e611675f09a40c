"""Who asks and what they may do: API keys to principals, and the tenant of an open gateway. Pure."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sluice_gateway.domain.model import Principal
from sluice_servicekit.errors import InvalidArgument, PermissionDenied, Unauthenticated

DEFAULT_TENANT = "default"

_TENANT = re.compile(r"^[A-Za-z0-9._-]{1,64}$")


class Role(StrEnum):
    """What a principal may do; each role includes those before it."""

    READER = "reader"
    """Ask, search, read its own runs."""
    WRITER = "writer"
    """Store and delete documents."""
    ADMIN = "admin"
    """Everything."""


_INCLUDED = {
    Role.READER: {Role.READER},
    Role.WRITER: {Role.READER, Role.WRITER},
    Role.ADMIN: set(Role),
}


class ApiKey(BaseModel):
    """One entry of the keys file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(min_length=16, max_length=512)] | None = None
    """The key itself; `key_sha256` keeps it out of the file."""
    key_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    tenant: Annotated[str, Field(pattern=_TENANT.pattern)]
    subject: Annotated[str, Field(max_length=256)] = ""
    roles: tuple[Role, ...] = (Role.READER,)
    acl: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_key(self) -> "ApiKey":
        if (self.key is None) == (self.key_sha256 is None):
            raise ValueError("one of key, key_sha256 must be set")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the key."""
        return self.key_sha256 or hashlib.sha256((self.key or "").encode()).hexdigest()


class KeysFile(BaseModel):
    """The keys file: `keys:` and a list of entries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: Annotated[tuple[ApiKey, ...], Field(min_length=1, max_length=100_000)]


@dataclass(frozen=True)
class Access:
    """Decides who asks. `keys` maps a key's SHA-256 to its entry; None leaves the gateway open."""

    keys: Mapping[str, ApiKey] | None = None

    @classmethod
    def from_file(cls, content: KeysFile) -> "Access":
        """Access by the keys of a file."""
        return cls({entry.digest: entry for entry in content.keys})

    def principal(self, authorization: str | None, tenant: str | None) -> Principal:
        """Who asks, from the `Authorization` and `X-Sluice-Tenant` headers.

        Raises:
            Unauthenticated: keys are on and this is none of them.
            PermissionDenied: the tenant named is not the key's.
            InvalidArgument: the tenant's name is malformed.
        """
        if tenant is not None and not _TENANT.match(tenant):
            raise InvalidArgument(
                "X-Sluice-Tenant must be 1 to 64 of A-Z a-z 0-9 . _ -", field="X-Sluice-Tenant"
            )
        if self.keys is None:
            return Principal(tenant or DEFAULT_TENANT, "anonymous", tuple(Role))
        entry = self._entry(authorization)
        if tenant is not None and tenant != entry.tenant:
            raise PermissionDenied(f"the key belongs to another tenant than {tenant!r}")
        return Principal(entry.tenant, entry.subject, tuple(entry.roles), entry.acl)

    def _entry(self, authorization: str | None) -> ApiKey:
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("send an API key as Authorization: Bearer <key>", reason="INVALID_API_KEY")
        digest = hashlib.sha256(key.strip().encode()).hexdigest()
        entry = (self.keys or {}).get(digest)
        if entry is None or not hmac.compare_digest(entry.digest, digest):
            raise Unauthenticated("the API key is not known", reason="INVALID_API_KEY")
        return entry


def has_role(principal: Principal, role: Role) -> bool:
    """True where one of the principal's roles includes `role`."""
    return any(role in _INCLUDED[Role(held)] for held in principal.roles)


def require(principal: Principal, role: Role) -> None:
    """Raises `PermissionDenied` unless one of the principal's roles includes `role`."""
    if not has_role(principal, role):
        raise PermissionDenied(f"the key's roles do not include {role}")
