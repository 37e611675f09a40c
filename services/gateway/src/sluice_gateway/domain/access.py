"""Who asks and what they may do: keys and tokens to principals, and the tenant of an open gateway. Pure."""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from sluice_gateway.domain import api_keys
from sluice_gateway.domain.access_file import NAME, ApiKey, KeysFile, Role, Tenant
from sluice_gateway.domain.admission.priority import Priority, asked_for, less_urgent
from sluice_gateway.domain.limiting.limits import Scope
from sluice_gateway.domain.model import Principal
from sluice_servicekit.errors import InvalidArgument, PermissionDenied, Unauthenticated

__all__ = ["DEFAULT_TENANT", "Access", "ApiKey", "KeysFile", "Role", "Tokens", "require"]

DEFAULT_TENANT = "default"

_TENANT = re.compile(NAME)

_INCLUDED = {
    Role.READER: {Role.READER},
    Role.WRITER: {Role.READER, Role.WRITER},
    Role.ADMIN: set(Role),
}


class Tokens(Protocol):
    """Reads tokens of identity providers."""

    def principal(self, token: str) -> Principal | None:
        """Who a token speaks for; None where it is no token of any kind that is taken.

        Raises:
            Unauthenticated: it is one, but not a valid one (`INVALID_TOKEN`).
            Unavailable: the keys that it is checked with have never been read.
        """


@dataclass(frozen=True)
class Access:
    """Decides who asks.

    Args:
        keys: A key's SHA-256 to its entry; None leaves the gateway open.
        tokens: Reads tokens; None takes none.
        now: Seconds since the epoch.
    """

    keys: Mapping[str, ApiKey] | None = None
    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    defaults: Tenant = field(default_factory=Tenant)
    tokens: Tokens | None = None
    now: Callable[[], float] = time.time
    named: Mapping[str, ApiKey] = field(default_factory=dict)
    """The same keys by name."""

    @classmethod
    def from_file(
        cls, content: KeysFile, tokens: Tokens | None = None, now: Callable[[], float] = time.time
    ) -> "Access":
        """Access by what a file holds."""
        return cls(
            {entry.digest: entry for entry in content.keys},
            content.tenants,
            content.defaults,
            tokens,
            now,
            {entry.name: entry for entry in content.keys},
        )

    @property
    def is_open(self) -> bool:
        """True where callers need no key."""
        return self.keys is None

    def principal(
        self, authorization: str | None, tenant: str | None, priority: str | None = None
    ) -> Principal:
        """Who asks, from the headers `Authorization`, `X-Sluice-Tenant` and `X-Sluice-Priority`.

        Raises:
            Unauthenticated: keys are on and this is none of them, or one that has expired, or no valid token.
            PermissionDenied: the tenant named is not the caller's.
            InvalidArgument: the tenant's name is malformed, or there is no such priority.
        """
        if tenant is not None and not _TENANT.match(tenant):
            raise InvalidArgument(
                "X-Sluice-Tenant must be 1 to 64 of A-Z a-z 0-9 . _ -", field="X-Sluice-Tenant"
            )
        if self.is_open:
            open_to_all = Principal(tenant or DEFAULT_TENANT, "anonymous", tuple(Role))
            return replace(open_to_all, priority=asked_for(priority, Priority.INTERACTIVE))
        found = self._found(authorization)
        if tenant is not None and tenant != found.tenant:
            raise PermissionDenied(f"the key belongs to another tenant than {tenant!r}")
        return replace(found, priority=asked_for(priority, found.priority))

    def scopes(self, principal: Principal) -> tuple[Scope, ...]:
        """The limits that a principal is under: its tenant's and its key's."""
        own = self.tenants.get(principal.tenant, self.defaults)
        scopes = [Scope(f"tenant:{principal.tenant}", own.limits.over(self.defaults.limits))]
        if (entry := self.named.get(principal.key)) is not None:
            scopes.append(Scope(f"key:{principal.key}", entry.limits))
        return tuple(scopes)

    def _found(self, authorization: str | None) -> Principal:
        scheme, _, given = (authorization or "").partition(" ")
        given = given.strip()
        if scheme.lower() != "bearer" or not given:
            raise Unauthenticated("send an API key as Authorization: Bearer <key>", reason="INVALID_API_KEY")
        digest = hashlib.sha256(given.encode()).hexdigest()
        entry = (self.keys or {}).get(digest)
        if entry is not None and hmac.compare_digest(entry.digest, digest):
            return self._of_key(entry)
        found = None if self.tokens is None else self.tokens.principal(given)
        if found is None:
            cut = given.startswith(api_keys.PREFIX) and not api_keys.is_whole(given)
            why = "is mistyped or cut off: its checksum does not fit" if cut else "is not known"
            raise Unauthenticated(f"the API key {why}", reason="INVALID_API_KEY")
        return self._of_tenant(found)

    def _of_key(self, entry: ApiKey) -> Principal:
        if entry.expires is not None and entry.expires.timestamp() <= self.now():
            raise Unauthenticated(f"the API key {entry.name} has expired", reason="INVALID_API_KEY")
        return self._of_tenant(
            Principal(
                entry.tenant,
                entry.subject,
                tuple(entry.roles),
                entry.acl,
                entry.name,
                entry.models,
                entry.priority,
            )
        )

    def _of_tenant(self, found: Principal) -> Principal:
        """With what its tenant says."""
        own = self.tenants.get(found.tenant, self.defaults)
        models = own.models if own.models is not None else self.defaults.models
        priority = own.priority or self.defaults.priority or Priority.INTERACTIVE
        return replace(
            found,
            models=found.models if found.models is not None else models,
            priority=less_urgent(found.priority, priority),
        )


def has_role(principal: Principal, role: Role) -> bool:
    """True where one of the principal's roles includes `role`."""
    return any(role in _INCLUDED[Role(held)] for held in principal.roles)


def require(principal: Principal, role: Role) -> None:
    """Raises `PermissionDenied` unless one of the principal's roles includes `role`."""
    if not has_role(principal, role):
        raise PermissionDenied(f"the key's roles do not include {role}")
