"""Who asks, and what they may do."""

import hashlib

import pytest
from pydantic import ValidationError

from sluice_gateway.domain.access import Access, KeysFile, Role, require
from sluice_gateway.domain.model import Principal
from sluice_servicekit.errors import InvalidArgument, PermissionDenied, Unauthenticated

KEY = "a-key-of-sixteen-characters"
ACCESS = Access.from_file(
    KeysFile.model_validate(
        {
            "keys": [
                {"key": KEY, "tenant": "acme", "subject": "bot", "roles": ["writer"], "acl": ["staff"]},
                {"key_sha256": hashlib.sha256(b"hashed").hexdigest(), "tenant": "other"},
            ]
        }
    )
)


def test_key_gives_tenant_roles_and_acl():
    assert ACCESS.principal(f"Bearer {KEY}", None) == Principal("acme", "bot", ("writer",), ("staff",))
    assert ACCESS.principal("bearer hashed", None).tenant == "other"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", f"Basic {KEY}", "Bearer wrong", KEY])
def test_anything_else_is_refused(header: str | None):
    with pytest.raises(Unauthenticated):
        ACCESS.principal(header, None)


def test_tenant_header_must_agree_with_the_key():
    assert ACCESS.principal(f"Bearer {KEY}", "acme").tenant == "acme"
    with pytest.raises(PermissionDenied):
        ACCESS.principal(f"Bearer {KEY}", "other")


def test_open_gateway_takes_the_tenant_from_the_header():
    assert Access().principal(None, None).tenant == "default"
    assert Access().principal("Bearer anything", "acme").tenant == "acme"


@pytest.mark.parametrize("tenant", ["", "a b", "../x", "ä", "x" * 65, "a\nb"])
def test_tenant_names_are_plain(tenant: str):
    with pytest.raises(InvalidArgument):
        Access().principal(None, tenant)


def test_roles_include_those_before_them():
    require(Principal("t", roles=("admin",)), Role.WRITER)
    require(Principal("t", roles=("writer",)), Role.READER)
    with pytest.raises(PermissionDenied):
        require(Principal("t", roles=("reader",)), Role.WRITER)
    with pytest.raises(PermissionDenied):
        require(Principal("t"), Role.READER)


@pytest.mark.parametrize(
    "entry",
    [
        {"tenant": "acme"},
        {"key": KEY, "key_sha256": "0" * 64, "tenant": "acme"},
        {"key": "short", "tenant": "acme"},
        {"key": KEY, "tenant": "a b"},
        {"key": KEY, "tenant": "acme", "roles": ["king"]},
        {"key": KEY, "tenant": "acme", "colour": "red"},
    ],
)
def test_wrong_entries_are_refused(entry: dict[str, object]):
    with pytest.raises(ValidationError):
        KeysFile.model_validate({"keys": [entry]})
