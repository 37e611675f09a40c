"""The claims of a token that has been checked → a principal. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from sluice_gateway.domain.access_file import NAME, Issuer, Role
from sluice_gateway.domain.model import Principal
from sluice_servicekit.errors import Unauthenticated

_MAX_SUBJECT = 256

_NAME = re.compile(NAME)


def principal_of(claims: Mapping[str, Any], issuer: Issuer) -> Principal:
    """Who the claims speak for.

    Raises:
        Unauthenticated: they name no tenant, or one that the issuer may not name (`INVALID_TOKEN`).
    """
    tenant = issuer.tenant or _text(_claim(claims, issuer.claims.tenant))
    if not tenant:
        raise invalid(f"it names no tenant in the claim {issuer.claims.tenant!r}")
    if not _NAME.fullmatch(tenant):
        raise invalid("the tenant that it names must be 1 to 64 of A-Z a-z 0-9 . _ -")
    if issuer.tenant is None and issuer.tenants is not None and tenant not in issuer.tenants:
        raise invalid("its issuer may not speak for the tenant that it names")
    return Principal(
        tenant,
        _text(_claim(claims, issuer.claims.subject))[:_MAX_SUBJECT],
        tuple(_roles(claims, issuer)),
        tuple(_texts(_claim(claims, issuer.claims.acl))),
        issuer.id,
        issuer.models,
        issuer.priority,
    )


def invalid(why: str) -> Unauthenticated:
    """The error for a token that is refused."""
    return Unauthenticated(f"the token is not valid: {why}", reason="INVALID_TOKEN")


def _roles(claims: Mapping[str, Any], issuer: Issuer) -> list[Role]:
    own = issuer.role_names or {str(role): role for role in Role}
    given = _texts(_claim(claims, issuer.claims.roles))
    found = {own[name] for name in given if name in own}
    return [role for role in Role if role in found] or list(issuer.default_roles)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a path: `realm_access.roles`. Names may hold dots themselves."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    """A list of texts, or one text of words as in `scope`."""
    if isinstance(value, str):
        return value.split()
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
