"""Who asks, and what they may do."""

import hashlib
import random
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from sluice_gateway.domain import api_keys
from sluice_gateway.domain.access import Access, KeysFile, Role, require
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.limiting.limits import Limits
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
    assert ACCESS.principal(f"Bearer {KEY}", None) == Principal(
        "acme", "bot", ("writer",), ("staff",), "key-b22120d6"
    )
    assert ACCESS.principal("bearer hashed", None).tenant == "other"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", f"Basic {KEY}", "Bearer wrong", KEY])
def test_anything_else_is_refused(header: str | None):
    with pytest.raises(Unauthenticated):
        ACCESS.principal(header, None)


def test_key_that_has_expired_is_refused():
    now = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    content = {"keys": [{"id": "ci", "key": KEY, "tenant": "acme", "expires": date(2027, 1, 1)}]}
    access = Access.from_file(KeysFile.model_validate(content), now=lambda: now.timestamp())
    assert access.principal(f"Bearer {KEY}", None).key == "ci"
    now += timedelta(minutes=1)
    with pytest.raises(Unauthenticated, match="ci has expired"):
        access.principal(f"Bearer {KEY}", None)


def test_two_keys_at_once_for_rotation():
    content = {"keys": [{"id": f"bot-{n}", "key": f"{KEY}-{n}", "tenant": "acme"} for n in (1, 2)]}
    access = Access.from_file(KeysFile.model_validate(content))
    assert [access.principal(f"Bearer {KEY}-{n}", None).key for n in (1, 2)] == ["bot-1", "bot-2"]


def test_models_and_priority_of_key_and_tenant():
    content = {
        "keys": [
            {"id": "own", "key": f"{KEY}-1", "tenant": "acme", "models": ["support-*"], "priority": "batch"},
            {"id": "none", "key": f"{KEY}-2", "tenant": "acme"},
            {"id": "other", "key": f"{KEY}-3", "tenant": "other"},
        ],
        "tenants": {"acme": {"models": ["sales"], "priority": "background", "limits": {"concurrency": 2}}},
        "defaults": {"priority": "batch", "limits": {"concurrency": 9, "tokens_per_day": 100}},
    }
    access = Access.from_file(KeysFile.model_validate(content))
    own, none, other = (access.principal(f"Bearer {KEY}-{n}", None) for n in (1, 2, 3))
    assert [own.may_ask(model) for model in ("support-en", "sales")] == [True, False]
    assert [none.may_ask(model) for model in ("support-en", "sales")] == [False, True]
    assert other.may_ask("anything")
    assert (own.priority, other.priority) == (Priority.BACKGROUND, Priority.BATCH)
    assert access.principal(f"Bearer {KEY}-3", None, "interactive").priority is Priority.BATCH
    assert [(scope.name, scope.limits.concurrency) for scope in access.scopes(own)] == [
        ("tenant:acme", 2),
        ("key:own", None),
    ]
    assert access.scopes(other)[0].limits == Limits(concurrency=9, tokens_per_day=100)


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
        {"key": KEY, "tenant": "acme", "expires": "soon"},
        {"key": KEY, "tenant": "acme", "limits": {"requests_per_minute": 0}},
        {"key": KEY, "tenant": "acme", "limits": {"requests_per_hour": 1}},
    ],
)
def test_wrong_entries_are_refused(entry: dict[str, object]):
    with pytest.raises(ValidationError):
        KeysFile.model_validate({"keys": [entry]})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "keys or issuers"),
        (
            {"keys": [{"key": KEY, "tenant": "a"}, {"key": KEY, "tenant": "b"}]},
            "keys.1 has the same key as keys.0",
        ),
        (
            {"keys": [{"key": KEY, "tenant": "a", "id": "x"}, {"key": KEY * 2, "tenant": "b", "id": "x"}]},
            "keys.1 has the same id",
        ),
        (
            {
                "keys": [{"key": KEY, "tenant": "a", "id": "x"}],
                "issuers": [{"id": "x", "issuer": "https://a.example", "audience": ["b"]}],
            },
            "issuers.0 has the same id as keys.0",
        ),
    ],
)
def test_files_that_contradict_themselves_are_refused(content: dict[str, object], says: str):
    with pytest.raises(ValidationError, match=says):
        KeysFile.model_validate(content)


def test_new_key_is_found_by_its_shape_and_checked_by_its_checksum():
    key = api_keys.new_key(random.Random(7).choice)
    assert re.fullmatch("sluice_[0-9A-Za-z]{38}", key)
    assert api_keys.is_whole(key)
    swapped = key[:8] + ("a" if key[8] != "a" else "b") + key[9:]
    for wrong in (key[:-1], key + "0", swapped, key.upper(), "", KEY):
        assert not api_keys.is_whole(wrong)
    with pytest.raises(Unauthenticated, match="mistyped or cut off"):
        ACCESS.principal(f"Bearer {swapped}", None)
    with pytest.raises(Unauthenticated, match="not known"):
        ACCESS.principal(f"Bearer {key}", None)
