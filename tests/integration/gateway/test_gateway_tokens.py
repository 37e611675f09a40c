"""Tokens of an identity provider, whose keys come from a real HTTP server."""

import base64
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sluice_gateway.access.tokens import IssuedTokens
from sluice_gateway.domain.access import Access
from sluice_gateway.domain.access_file import KeysFile
from sluice_gateway.domain.model import Principal
from sluice_gateway.keys_file import KeysFileWatch, read_keys
from sluice_servicekit.errors import FailedPrecondition, ServiceError, Unauthenticated, Unavailable
from support.issuer import Issuer, SigningKey, issuing


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


class Door:
    """What a request passes: first the keys, then the question who it is."""

    def __init__(self, *entries: dict[str, Any], **content: Any) -> None:
        self.clock = Clock()
        file = KeysFile.model_validate({"issuers": entries, **content})
        self.tokens = IssuedTokens(file.issuers, clock=self.clock)
        self.access = Access.from_file(file, self.tokens)

    async def __call__(self, token: str, tenant: str | None = None) -> Principal:
        await self.tokens.prepare(f"Bearer {token}")
        return self.access.principal(f"Bearer {token}", tenant)

    async def refusal(self, token: str) -> ServiceError:
        with pytest.raises(ServiceError) as raised:
            await self(token)
        assert token not in raised.value.message
        return raised.value


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_token_gives_tenant_subject_roles_and_acl(issuer: Issuer, algorithm: str):
    issuer.keys = [SigningKey("k", algorithm)]
    door = Door(issuer.entry())
    who = await door(issuer.token(roles=["writer", "cook"], groups=["staff"]))
    assert who == Principal("acme", "u-1", ("writer",), ("staff",), "corp")
    await door(issuer.token())
    assert issuer.asked == 1


async def test_claims_are_mapped(issuer: Issuer):
    door = Door(
        issuer.entry(
            claims={
                "tenant": "https://x.example/org",
                "subject": "email",
                "roles": "realm.roles",
                "acl": "scope",
            },
            role_names={"sluice-admins": "admin"},
            tenants=["acme", "other"],
            models=["support-*"],
        )
    )
    claims = {"https://x.example/org": "other", "email": "a@b.example", "scope": "one two"}
    who = await door(issuer.token(**claims, realm={"roles": ["sluice-admins", "writer"]}))
    assert who == Principal("other", "a@b.example", ("admin",), ("one", "two"), "corp", ("support-*",))
    who = await door(issuer.token(**claims))
    assert who.roles == ("reader",)
    refused = await door.refusal(issuer.token(**{**claims, "https://x.example/org": "third"}))
    assert "may not speak for the tenant" in refused.message
    refused = await door.refusal(issuer.token(**{**claims, "https://x.example/org": 7}))
    assert "names no tenant" in refused.message
    anybody = Door(issuer.entry())
    assert "must be 1 to 64" in (await anybody.refusal(issuer.token(tenant="a b"))).message


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": int(time.time()) - 31}, "expired"),
        ({"exp": None}, "lacks one of"),
        ({"nbf": int(time.time()) + 86_400}, "not valid yet"),
        ({"aud": "elsewhere"}, "another audience"),
        ({"aud": None}, "lacks one of"),
        ({"iss": "https://elsewhere.example"}, "issuer is not known"),
    ],
)
async def test_token_with_wrong_claims_is_refused(issuer: Issuer, claims: dict[str, Any], says: str):
    door = Door(issuer.entry())
    made = {key: value for key, value in issuer.claims(**claims).items() if value is not None}
    refused = await door.refusal(issuer.keys[0].token(made))
    assert isinstance(refused, Unauthenticated)
    assert refused.reason == "INVALID_TOKEN"
    assert says in refused.message


async def test_clocks_may_differ_a_little(issuer: Issuer):
    door = Door(issuer.entry(leeway=30))
    now = int(time.time())
    assert await door(issuer.token(exp=now - 20, nbf=now + 20))
    assert (await Door(issuer.entry(leeway=0)).refusal(issuer.token(exp=now - 20))).reason == "INVALID_TOKEN"


async def test_token_of_another_signer_is_refused(issuer: Issuer):
    door = Door(issuer.entry())
    stranger = SigningKey("first").token(issuer.claims())
    assert "signature does not fit" in (await door.refusal(stranger)).message
    head, _, signature = issuer.token().split(".")
    forged = (
        base64.urlsafe_b64encode(json.dumps(issuer.claims(tenant="other")).encode()).rstrip(b"=").decode()
    )
    assert "signature does not fit" in (await door.refusal(f"{head}.{forged}.{signature}")).message


async def test_algorithms_cannot_be_confused(issuer: Issuer):
    issuer.keys = [SigningKey("first", "RS256")]
    door = Door(issuer.entry())
    public = issuer.keys[0].private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    unsigned = jwt.encode(issuer.claims(), None, algorithm="none", headers={"kid": "first"})
    assert "algorithm that is not taken" in (await door.refusal(unsigned)).message
    # PyJWT itself refuses to sign so: the token is made by hand
    import hashlib
    import hmac

    def part(content: dict[str, Any]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")

    signed = part({"alg": "HS256", "typ": "JWT", "kid": "first"}) + b"." + part(issuer.claims())
    signature = base64.urlsafe_b64encode(hmac.new(public, signed, hashlib.sha256).digest()).rstrip(b"=")
    assert "algorithm that is not taken" in (await door.refusal((signed + b"." + signature).decode())).message
    only_ec = Door(issuer.entry(algorithms=["ES256"]))
    assert "algorithm that is not taken" in (await only_ec.refusal(issuer.token())).message


async def test_shared_secrets_and_keys_to_encrypt_are_no_keys(issuer: Issuer):
    issuer.answer = lambda _: {  # type: ignore[method-assign]
        "keys": [
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"},
            {**issuer.keys[0].jwk, "kid": "enc", "use": "enc"},
            issuer.keys[0].jwk,
        ]
    }
    door = Door(issuer.entry(jwks_url=f"{issuer.url}/keys"))
    assert await door(issuer.token())
    token = jwt.encode(
        issuer.claims(), b"secret-secret-secret-secret-1234", algorithm="HS256", headers={"kid": "secret"}
    )
    assert "no such key" in (await door.refusal(token)).message
    assert "no such key" in (await door.refusal(issuer.keys[0].token(issuer.claims(), kid="enc"))).message


async def test_new_key_is_found_once_it_is_used_and_unknown_ones_do_not_ask_each_time(issuer: Issuer):
    door = Door(issuer.entry())
    old = issuer.token()
    await door(old)
    for number in range(20):
        await door.refusal(SigningKey(f"made up {number}").token(issuer.claims()))
    assert issuer.asked == 1
    door.clock.now += 11
    issuer.keys.append(SigningKey("second", "EdDSA"))
    assert await door(issuer.token())
    assert await door(old)
    issuer.keys.pop(0)  # withdrawn
    door.clock.now += 301
    await door.tokens.refresh()
    assert "no such key" in (await door.refusal(old)).message
    assert await door(issuer.token())


async def test_issuer_that_is_down_at_first_is_asked_again(issuer: Issuer, caplog: pytest.LogCaptureFixture):
    issuer.status = 503
    door = Door(issuer.entry())
    refused = await door.refusal(issuer.token())
    assert isinstance(refused, Unavailable)
    assert "HTTP 503" in caplog.text
    issuer.status = 200
    assert isinstance(await door.refusal(issuer.token()), Unavailable)  # not each request asks
    door.clock.now += 11
    assert await door(issuer.token())


async def test_issuer_that_goes_down_later_leaves_its_keys(issuer: Issuer, caplog: pytest.LogCaptureFixture):
    door = Door(issuer.entry())
    await door(issuer.token())
    issuer.status = 500
    door.clock.now += 301
    await door.tokens.refresh()
    assert "the keys that were stay in force" in caplog.text
    assert await door(issuer.token())
    unknown = await door.refusal(SigningKey("new").token(issuer.claims()))
    assert isinstance(unknown, Unauthenticated)


async def test_discovery_document_of_another_issuer_is_not_believed(issuer: Issuer):
    door = Door({**issuer.entry(), "issuer": f"{issuer.url}/"})
    token = issuer.token(iss=f"{issuer.url}/")
    assert isinstance(await door.refusal(token), Unavailable)


async def test_keys_and_tokens_side_by_side(issuer: Issuer):
    door = Door(issuer.entry(), keys=[{"key": "a.key.of-sixteen-characters", "tenant": "other"}])
    assert (await door("a.key.of-sixteen-characters")).tenant == "other"
    assert (await door(issuer.token())).tenant == "acme"
    assert (await door.refusal("a.b.c")).reason == "INVALID_API_KEY"
    assert (await door.refusal("eyJub3Q.a.token")).reason == "INVALID_TOKEN"
    with pytest.raises(ServiceError, match="another tenant"):
        await door(issuer.token(), "other")


async def test_keys_of_a_file_beside_the_keys_file(issuer: Issuer, tmp_path: Path):
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [issuer.keys[0].jwk]}))
    file = tmp_path / "keys.yaml"
    file.write_text(yaml.safe_dump({"issuers": [issuer.entry(jwks_file="jwks.json", issuer="corp.example")]}))
    watch = KeysFileWatch(file)
    authorization = f"Bearer {issuer.token(iss='corp.example')}"
    await watch.prepare(authorization)
    assert watch.current.principal(authorization, None).key == "corp"


async def test_keys_that_were_read_outlast_a_change_of_the_file(issuer: Issuer, tmp_path: Path):
    file = tmp_path / "keys.yaml"
    file.write_text(yaml.safe_dump({"issuers": [issuer.entry()]}))
    watch = KeysFileWatch(file)
    authorization = f"Bearer {issuer.token()}"
    await watch.prepare(authorization)
    file.write_text(yaml.safe_dump({"issuers": [issuer.entry(models=["only"])]}))
    watch.refresh()
    assert watch.current.principal(authorization, None).models == ("only",)
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "change",
    [
        {"jwks_url": "http://elsewhere.example/keys"},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"audience": []},
        {"issuer": "corp"},
        {"jwks_url": "https://a.example/keys", "jwks_file": "b"},
    ],
)
def test_issuer_that_nobody_should_trust_is_refused(tmp_path: Path, change: dict[str, Any]):
    entry = {"id": "corp", "issuer": "https://corp.example", "audience": ["sluice"], **change}
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump({"issuers": [entry]}))
    with pytest.raises(FailedPrecondition, match="not valid"):
        read_keys(tmp_path / "keys.yaml")


def test_nothing_of_a_token_is_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    tokens = IssuedTokens(())
    with pytest.raises(Unauthenticated):
        tokens.principal("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.")
    assert "eyJ" not in caplog.text
