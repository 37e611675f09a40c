"""The keys file, parsed: keys, tenants, and the issuers of tokens that are taken."""

import hashlib
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.limiting.limits import Limits

NAME = r"^[A-Za-z0-9._-]{1,64}$"

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Role(StrEnum):
    """What a principal may do; each role includes those before it."""

    READER = "reader"
    """Ask, search, read its own runs."""
    WRITER = "writer"
    """Store and delete documents."""
    ADMIN = "admin"
    """Everything."""


def _midnight(given: object) -> object:
    is_day = isinstance(given, date) and not isinstance(given, datetime)
    return datetime.combine(given, time(), UTC) if is_day else given  # type: ignore[arg-type]  # a day, as asked


def _in_utc(given: datetime) -> datetime:
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def fetchable(url: str) -> str:
    """The URL.

    Raises:
        ValueError: what comes from there could be anybody's.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("must be an https:// URL; http:// only on loopback")
    return url


Moment = Annotated[datetime, BeforeValidator(_midnight), AfterValidator(_in_utc)]
Url = Annotated[str, AfterValidator(fetchable)]
Name = Annotated[str, Field(pattern=NAME)]


class Entry(BaseModel):
    """Base of what the file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ApiKey(Entry):
    """One key."""

    id: Annotated[str, Field(pattern=NAME)] = ""
    """Its name in logs, journal and limits; made of its digest where there is none."""
    key: Annotated[str, Field(min_length=16, max_length=512)] | None = None
    """The key itself; `key_sha256` keeps it out of the file."""
    key_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    tenant: Name
    subject: Annotated[str, Field(max_length=256)] = ""
    roles: tuple[Role, ...] = (Role.READER,)
    acl: tuple[str, ...] = ()
    expires: Moment | None = None
    """From then on it is refused; a day begins at midnight UTC."""
    models: tuple[str, ...] | None = None
    """Models that it may ask, `*` within a name for any; all where absent."""
    limits: Limits = Limits()
    """Of this key alone, besides its tenant's."""
    priority: Priority = Priority.INTERACTIVE
    """The most urgent that it may ask for, and its default; its tenant's where that is less urgent."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.key is None) == (self.key_sha256 is None):
            raise ValueError("one of key, key_sha256 must be set")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the key."""
        return self.key_sha256 or hashlib.sha256((self.key or "").encode()).hexdigest()

    @property
    def name(self) -> str:
        """What logs and journal call it."""
        return self.id or f"key-{self.digest[:8]}"


class Tenant(Entry):
    """A tenant, or what holds for those that are not named."""

    limits: Limits = Limits()
    """Of all its keys and tokens together."""
    models: tuple[str, ...] | None = None
    """Of keys that name none themselves."""
    priority: Priority | None = None


class Claims(Entry):
    """Which claim says what: a claim's name, or a path through objects with dots."""

    tenant: str = "tenant"
    subject: str = "sub"
    roles: str = "roles"
    acl: str = "groups"


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]


class Issuer(Entry):
    """An identity provider whose tokens (JWT) are taken."""

    id: Name
    """Its name in logs and journal."""
    issuer: Annotated[str, Field(min_length=1)]
    """What the claim `iss` must be, letter by letter."""
    audience: Annotated[tuple[str, ...], Field(min_length=1)]
    """`aud` must hold one of these."""
    jwks_url: Url | None = None
    """Where its keys are; found by OpenID discovery under `issuer` where neither this nor `jwks_file` is set."""
    jwks_file: str | None = None
    """Its keys in a file, beside the keys file where the path is relative; read as often as a URL is."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    leeway: Annotated[float, Field(ge=0, le=300)] = 30.0
    """Seconds by which clocks may differ."""
    claims: Claims = Claims()
    tenant: Name | None = None
    """The tenant of all its tokens, in place of a claim."""
    tenants: tuple[Name, ...] | None = None
    """The tenants that it may name; any where absent."""
    role_names: dict[str, Role] = Field(default_factory=dict)
    """What its own roles or groups are called here. `reader`, `writer` and `admin` mean themselves without it."""
    default_roles: tuple[Role, ...] = (Role.READER,)
    """Of a token that names no role."""
    models: tuple[str, ...] | None = None
    priority: Priority = Priority.INTERACTIVE

    @model_validator(mode="after")
    def _keys_from_one_place(self) -> Self:
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("only one of jwks_url, jwks_file may be set")
        if self.jwks_url is None and self.jwks_file is None:
            fetchable(self.issuer)
        return self


class KeysFile(Entry):
    """The keys file."""

    keys: Annotated[tuple[ApiKey, ...], Field(max_length=100_000)] = ()
    issuers: Annotated[tuple[Issuer, ...], Field(max_length=64)] = ()
    tenants: dict[Name, Tenant] = Field(default_factory=dict)
    defaults: Tenant = Tenant()
    """What holds for tenants where `tenants` says nothing."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.keys and not self.issuers:
            raise ValueError("it must hold keys or issuers")
        named = [f"keys.{index}" for index in range(len(self.keys))]
        issuing = [f"issuers.{index}" for index in range(len(self.issuers))]
        _unlike("key", named, [key.digest for key in self.keys])
        _unlike("issuer", issuing, [issuer.issuer for issuer in self.issuers])
        names = [*(key.name for key in self.keys), *(issuer.id for issuer in self.issuers)]
        _unlike("id", [*named, *issuing], names)
        return self


def _unlike(what: str, entries: list[str], values: list[str]) -> None:
    first: dict[str, str] = {}
    for entry, value in zip(entries, values, strict=True):
        if first.setdefault(value, entry) != entry:
            raise ValueError(f"{entry} has the same {what} as {first[value]}")
