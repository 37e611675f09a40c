"""Adapters from every kind of source; servers are doubles on loopback, and everything else lies inside."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ThreadedResolver, web

from sluice_api.objects.lora_adapter import Source
from sluice_inference.adapter_agent.reasons import Reason, is_permanent
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import credentials
from sluice_inference.adapter_agent.sources.all_sources import Sources
from sluice_inference.adapter_agent.sources.references import Reference
from sluice_inference.adapter_agent.sources.registry import Registry
from sluice_inference.adapter_agent.sources.remote import Remote
from sluice_inference.adapter_agent.store import Store
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.fetching.policy import Policy
from support import lora
from support.adapter_sources import (
    COMMIT,
    KEY,
    REGION,
    SECRET,
    TAR_GZIP,
    ArtifactRegistry,
    Hub,
    ObjectStore,
    Site,
    giving,
    serving,
)

FILES = lora.adapter()
CONFIG, WEIGHTS = FILES["adapter_config.json"], FILES["adapter_model.safetensors"]
PICKLED = {"adapter_config.json": CONFIG, "adapter_model.bin": b"\x80\x04"}


@dataclass
class Fetch:
    """Fetches into a folder of its own."""

    folder: Path
    max_bytes: int = 1 << 20

    async def __call__(self, source: dict[str, Any], *sites: Site, **options: Any) -> str:
        ports = ",".join(str(site.port) for site in sites) or "80"
        sources = Sources(Remote(Policy.parse("127.0.0.1", ports), ThreadedResolver()), **options)
        store = Store(self.folder / "store", 1 << 30, 0, self._nothing)
        (self.folder / "in").mkdir(exist_ok=True)
        self.sink = Sink(self.folder / "in", store, self.max_bytes)
        return await sources.fetch(Source.model_validate(source), self.sink)

    async def refused(self, source: dict[str, Any], *sites: Site, **options: Any) -> ServiceError:
        with pytest.raises(ServiceError) as caught:
            await self(source, *sites, **options)
        return caught.value

    @property
    def found(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "in").iterdir()}

    @staticmethod
    async def _nothing() -> frozenset[str]:
        return frozenset()


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    return Fetch(tmp_path)


# a hub


@asynccontextmanager
async def hub(**options: Any) -> AsyncIterator[tuple[Site, Site]]:
    double = Hub(
        {"example/adapter": {**FILES, "README.md": b"#", "optimizer.pt": b"no"}, **options.pop("repos", {})}
    )
    for name, value in options.items():
        setattr(double, name, value)
    async with serving(double.answer) as site, serving(double.file) as files:
        double.files = files.url
        yield site, files


def on_hub(repo: str = "example/adapter", revision: str = "main") -> dict[str, Any]:
    return {"huggingFace": {"repo": repo, "revision": revision}}


async def test_of_a_repository_the_two_files_come_pinned_to_the_commit(fetch: Fetch) -> None:
    async with hub() as (site, files):
        origin = await fetch(on_hub(), site, files, hub_url=site.url)

    assert fetch.found == FILES
    assert origin == f"example/adapter@{COMMIT}"
    assert site.paths == [
        "/api/models/example/adapter/revision/main",
        f"/example/adapter/resolve/{COMMIT}/adapter_config.json",
        f"/example/adapter/resolve/{COMMIT}/adapter_model.safetensors",
    ]
    assert fetch.sink.came == fetch.sink.expected == len(CONFIG) + len(WEIGHTS)


async def test_the_hubs_token_goes_to_the_hub_and_not_where_it_sends_on_to(
    fetch: Fetch, tmp_path: Path
) -> None:
    token = lora.written(tmp_path, {"token": b"hf_secret\n"}) / "token"
    async with hub(token="hf_secret") as (site, files):
        await fetch(on_hub(), site, files, hub_url=site.url, hub_token_file=token)

    assert {sent for _, sent in site.asked} == {"Bearer hf_secret"}
    assert {sent for _, sent in files.asked} == {""}


@pytest.mark.parametrize(
    ("source", "options", "reason", "says"),
    [
        (on_hub("example/none"), {}, Reason.SOURCE_FORBIDDEN, "no token"),
        (on_hub(revision="v9"), {}, Reason.SOURCE_NOT_FOUND, "RevisionNotFound"),
        (on_hub(), {"gated": frozenset({"example/adapter"})}, Reason.SOURCE_FORBIDDEN, "GatedRepo"),
        (on_hub(), {"token": "hf_secret"}, Reason.SOURCE_FORBIDDEN, "no token"),
        (on_hub("example/p"), {"repos": {"example/p": PICKLED}}, Reason.NOT_SAFETENSORS, "pickle"),
        (
            on_hub("example/c"),
            {"repos": {"example/c": {"adapter_config.json": b""}}},
            Reason.SOURCE_NOT_FOUND,
            "no",
        ),
        (on_hub("a/../../b"), {}, Reason.SOURCE_INVALID, "owner/name"),
        (on_hub("a/b/c"), {}, Reason.SOURCE_INVALID, "owner/name"),
        (on_hub(revision="../../x"), {}, Reason.SOURCE_NOT_FOUND, "Revision"),
    ],
)
async def test_what_a_hub_does_not_have_is_told_apart(
    fetch: Fetch, source: dict[str, Any], options: dict[str, Any], reason: Reason, says: str
) -> None:
    async with hub(**options) as (site, files):
        error = await fetch.refused(source, site, files, hub_url=site.url)

    assert error.reason == reason
    assert says in error.message
    assert is_permanent(error)


# an object store


@pytest.fixture
def aws_keys(tmp_path: Path) -> Path:
    keys = f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n".encode()
    return lora.written(tmp_path, {"aws": keys}) / "aws"


def in_store(site: Site, key: str, bucket: str = "models") -> dict[str, Any]:
    return {"s3": {"bucket": bucket, "key": key, "endpoint": site.url}}


KEYS = ("adapters/a.tar.gz", "ein Ädapter+1/v=1~(x).tgz", "a.zip")


@pytest.mark.parametrize("key", KEYS)
async def test_an_archive_is_read_by_a_signed_url_whatever_its_key_and_the_environment(
    fetch: Fetch, aws_keys: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of another")
    monkeypatch.setenv("AWS_ENDPOINT", "http://10.0.0.1")
    store = ObjectStore({f"models/{key}": lora.tar(FILES)})
    async with serving(store.answer) as site:
        origin = await fetch(in_store(site, key), site, s3_credentials_file=aws_keys, s3_region=REGION)

    assert fetch.found == FILES
    assert origin == f"s3://models/{key}@{lora.digest(store.objects[f'models/{key}'])}"


async def test_below_a_prefix_lie_the_two_files(fetch: Fetch, aws_keys: Path) -> None:
    with aws_keys.open("a") as file:
        file.write("aws_session_token = of/the+session=\n")
    store = ObjectStore(
        {f"models/a/v1/{name}": content for name, content in FILES.items()}, token="of/the+session="
    )
    async with serving(store.answer) as site:
        await fetch(in_store(site, "a/v1/"), site, s3_credentials_file=aws_keys, s3_region=REGION)
    assert fetch.found == FILES


async def test_what_is_public_needs_no_key(fetch: Fetch) -> None:
    store = ObjectStore({"models/a b.tar.gz": lora.tar(FILES)}, public=True)
    async with serving(store.answer) as site:
        await fetch(in_store(site, "a b.tar.gz"), site)
        assert site.paths == ["/models/a%20b.tar.gz"]
    assert fetch.found == FILES


@pytest.mark.parametrize(
    ("key", "bucket", "region", "reason", "says"),
    [
        ("none.tar.gz", "models", REGION, Reason.SOURCE_NOT_FOUND, "NoSuchKey"),
        ("a.tar.gz", "others", REGION, Reason.SOURCE_NOT_FOUND, "NoSuchBucket"),
        ("a.tar.gz", "models", "us-east-1", Reason.SOURCE_REFUSED, "region eu-west-1"),
        ("a.tar.gz", "Models/../x", REGION, Reason.SOURCE_INVALID, "bucket"),
        ("../a.tar.gz", "models", REGION, Reason.SOURCE_INVALID, "no key"),
        ("empty", "models", REGION, Reason.SOURCE_NOT_FOUND, "NoSuchKey"),
    ],
)
async def test_what_a_store_does_not_have_is_told_apart(
    fetch: Fetch, aws_keys: Path, key: str, bucket: str, region: str, reason: Reason, says: str
) -> None:
    store = ObjectStore({"models/a.tar.gz": lora.tar(FILES)})
    async with serving(store.answer) as site:
        source = in_store(site, key, bucket)
        error = await fetch.refused(source, site, s3_credentials_file=aws_keys, s3_region=region)

    assert error.reason == reason
    assert says in error.message
    assert SECRET not in error.message


async def test_without_a_key_a_store_that_asks_for_one_says_so(fetch: Fetch) -> None:
    store = ObjectStore({"models/a.tar.gz": lora.tar(FILES)}, region="us-east-1")
    async with serving(store.answer) as site:
        error = await fetch.refused(in_store(site, "a.tar.gz"), site)
    assert error.reason == Reason.SOURCE_FORBIDDEN
    assert "AccessDenied" in error.message


# a registry


@asynccontextmanager
async def registry(login: str = "") -> AsyncIterator[tuple[ArtifactRegistry, Site, Site]]:
    double = ArtifactRegistry("team/adapters", login)
    async with serving(double.answer) as site, serving(double.file) as files:
        double.url, double.files = site.url, files.url
        yield double, site, files


def image(site: Site, reference: str = ":v1", repository: str = "team/adapters") -> dict[str, Any]:
    return {"oci": {"image": f"127.0.0.1:{site.port}/{repository}{reference}"}}


def plain(site: Site) -> dict[str, Any]:
    return {"insecure_registries": (f"127.0.0.1:{site.port}",)}


def raw(double: ArtifactRegistry, files: dict[str, bytes] = FILES) -> list[dict[str, Any]]:
    return [double.layer(content, title=f"./{name}") for name, content in files.items()]


Push = Callable[[ArtifactRegistry], str]


def push_files(double: ArtifactRegistry) -> str:
    return double.push("v1", *raw(double), double.layer(b"# Readme", title="README.md"))


def push_image(double: ArtifactRegistry) -> str:
    older = double.layer(lora.tar({**FILES, "adapter_config.json": b"older"}), TAR_GZIP)
    newer = double.layer(lora.tar({"adapter_config.json": CONFIG}), TAR_GZIP)
    return double.push("v1", double.layer(lora.tar({"etc": b"x"}), TAR_GZIP), older, newer)


def push_index(double: ArtifactRegistry) -> str:
    digest = push_files(double)
    double.push_index("v1", digest, digest)
    return digest


@pytest.mark.parametrize("push", [push_files, push_image, push_index])
async def test_an_artifact_is_two_layers_or_archives_of_them(fetch: Fetch, push: Push) -> None:
    async with registry() as (double, site, files):
        digest = push(double)
        origin = await fetch(image(site), site, files, **plain(site))
        assert origin == f"127.0.0.1:{site.port}/team/adapters@{digest}"
        assert fetch.found == FILES
        await fetch(image(site, f"@{digest}"), site, files, **plain(site))
    assert fetch.found == FILES


async def test_a_registry_is_signed_in_to_for_reading_alone_and_once(fetch: Fetch, tmp_path: Path) -> None:
    async with registry("robot:secret") as (double, site, files):
        push_files(double)
        auths = {f"127.0.0.1:{site.port}": {"username": "robot", "password": "secret"}}
        login = lora.written(tmp_path, {"config.json": json.dumps({"auths": auths}).encode()}) / "config.json"
        await fetch(image(site), site, files, registry_credentials_file=login, **plain(site))

    assert fetch.found == FILES
    assert len([path for path in site.paths if path.startswith("/token")]) == 1
    assert {sent for _, sent in files.asked} == {""}


async def test_a_registrys_token_that_runs_out_is_asked_for_anew(fetch: Fetch, tmp_path: Path) -> None:
    async with registry("robot:secret") as (double, site, files):
        push_files(double)
        double.pulls_of_a_token = 2
        auths = {f"127.0.0.1:{site.port}": {"username": "robot", "password": "secret"}}
        login = lora.written(tmp_path, {"config.json": json.dumps({"auths": auths}).encode()}) / "config.json"
        await fetch(image(site), site, files, registry_credentials_file=login, **plain(site))
    assert fetch.found == FILES
    assert len([path for path in site.paths if path.startswith("/token")]) == 2


async def test_without_a_login_or_with_a_wrong_one_a_registry_says_so(fetch: Fetch, tmp_path: Path) -> None:
    async with registry("robot:secret") as (double, site, files):
        push_files(double)
        without = await fetch.refused(image(site), site, files, **plain(site))
        auths = {f"http://127.0.0.1:{site.port}/v1/": {"auth": "cm9ib3Q6d3Jvbmc="}}
        wrong = lora.written(tmp_path, {"config.json": json.dumps({"auths": auths}).encode()}) / "config.json"
        refused = await fetch.refused(
            image(site), site, files, registry_credentials_file=wrong, **plain(site)
        )

    assert without.reason == refused.reason == Reason.SOURCE_FORBIDDEN
    assert "secret" not in without.message + refused.message


async def test_a_realm_inside_is_not_asked(fetch: Fetch) -> None:
    async with registry("robot:secret") as (double, site, files), serving(giving(b"{}")) as inside:
        push_files(double)
        double.realm = f"http://127.0.0.1:{inside.port}/token"
        error = await fetch.refused(image(site), site, files, **plain(site))

    assert error.reason == Reason.SOURCE_ADDRESS_REFUSED
    assert inside.asked == []


async def test_a_login_is_not_sent_to_a_realm_without_encryption(tmp_path: Path) -> None:
    auths = {"r.example": {"username": "robot", "password": "secret"}}
    login = lora.written(tmp_path, {"config.json": json.dumps({"auths": auths}).encode()}) / "config.json"
    asked = []

    class Challenging(Remote):
        @asynccontextmanager
        async def answer(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Any]:
            asked.append(url)
            challenge = {"www-authenticate": 'Bearer realm="http://r.example/token",service="r"'}
            yield SimpleNamespace(status=401, headers=challenge)

    remote = Challenging(Policy(), ThreadedResolver())
    with pytest.raises(ServiceError, match="without encryption"):
        async with Registry(Reference.parse("r.example/a:v1"), remote, login, ()).get("manifests/v1"):
            pass
    assert asked == ["https://r.example/v2/a/manifests/v1"]


async def test_what_came_must_have_the_digest_that_it_is_named_by(fetch: Fetch) -> None:
    async with registry() as (double, site, files):
        digest = push_files(double)
        double.blobs[lora.digest(WEIGHTS)] = lora.safetensors(lora.adapter_shapes(), fill=9)
        layer = await fetch.refused(image(site), site, files, **plain(site))
        double.blobs[lora.digest(WEIGHTS)] = WEIGHTS
        kind, content = double.manifests[digest]
        double.manifests[digest] = kind, content + b" "
        manifest = await fetch.refused(image(site, f"@{digest}"), site, files, **plain(site))

    assert layer.reason == manifest.reason == Reason.DIGEST_MISMATCH


@pytest.mark.parametrize(
    ("push", "reason"),
    [
        (lambda double: double.push("v2"), Reason.SOURCE_NOT_FOUND),
        (lambda double: double.push("v1"), Reason.SOURCE_REFUSED),
        (
            lambda double: double.push("v1", double.layer(CONFIG, title="adapter_config.json")),
            Reason.SOURCE_NOT_FOUND,
        ),
        (lambda double: double.push("v1", *raw(double, PICKLED)), Reason.NOT_SAFETENSORS),
        (
            lambda double: double.push("v1", {"mediaType": TAR_GZIP, "digest": "../../x"}),
            Reason.SOURCE_REFUSED,
        ),
        (lambda double: double.push_index("v1"), Reason.SOURCE_REFUSED),
        (lambda double: double.push_index("v1", double.push_index("in", "x")), Reason.SOURCE_REFUSED),
    ],
)
async def test_an_artifact_that_is_none_is_refused(fetch: Fetch, push: Push, reason: Reason) -> None:
    async with registry() as (double, site, files):
        push(double)
        error = await fetch.refused(image(site), site, files, **plain(site))
    assert error.reason == reason


@pytest.mark.parametrize(
    ("written", "registry", "repository", "reference"),
    [
        ("adapter", "docker.io", "library/adapter", "latest"),
        ("team/adapter:v1", "docker.io", "team/adapter", "v1"),
        ("oci://ghcr.io/a/b/c:1.0", "ghcr.io", "a/b/c", "1.0"),
        ("localhost/a:v1", "localhost", "a", "v1"),
        ("registry:5000/a", "registry:5000", "a", "latest"),
        (f"r.example/a:v1@sha256:{'a' * 64}", "r.example", "a", f"sha256:{'a' * 64}"),
    ],
)
def test_references_are_read_as_everywhere(
    written: str, registry: str, repository: str, reference: str
) -> None:
    assert Reference.parse(written) == Reference(registry, repository, reference)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "r.example/",
        "r.example/A",
        "r.example/../x",
        "r.example/a:",
        "r.example/a@sha256:1",
        "r.example/a?x=1",
        "user:pw@r.example/a",
        "r.example/a b",
        "r.example/a:v1:v2",
    ],
)
def test_a_reference_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ServiceError) as caught:
        Reference.parse(written)
    assert caught.value.reason == Reason.SOURCE_INVALID


# a URL


async def test_an_archive_comes_by_its_url(fetch: Fetch) -> None:
    content = lora.tar(FILES)
    async with serving(giving(content, headers={"content-encoding": "x-gzip"})) as site:
        origin = await fetch({"http": {"url": f"{site.url}/a"}}, site)

    assert fetch.found == FILES
    assert origin == f"127.0.0.1@{lora.digest(content)}"


async def test_a_login_is_sent_to_its_own_host_and_no_default_to_any(fetch: Fetch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    async with serving(giving(lora.tar(FILES))) as site:
        for content in ("machine 127.0.0.1 login me password secret\n", "default login me password secret\n"):
            netrc.write_text(content)
            await fetch({"http": {"url": f"{site.url}/a"}}, site, http_credentials_file=netrc)

    assert [sent for _, sent in site.asked] == ["Basic bWU6c2VjcmV0", ""]


@pytest.mark.parametrize(
    ("scheme", "host", "may"),
    [
        ("https", "a.example", True),
        ("http", "a.example", False),
        ("http", "127.0.0.1", True),
        ("http", "::1", True),
    ],
)
def test_no_password_crosses_a_network_unencrypted(scheme: str, host: str, may: bool) -> None:
    assert credentials.may_carry(scheme, host) is may


def test_a_host_called_default_gets_no_login_that_is_for_none(tmp_path: Path) -> None:
    netrc = lora.written(tmp_path, {"netrc": b"default login me password secret\n"}) / "netrc"
    assert credentials.of_host(netrc, "default") is None


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (401, Reason.SOURCE_FORBIDDEN, True),
        (403, Reason.SOURCE_FORBIDDEN, True),
        (404, Reason.SOURCE_NOT_FOUND, True),
        (400, Reason.SOURCE_REFUSED, True),
        (204, Reason.SOURCE_REFUSED, True),
        (429, Reason.SOURCE_UNAVAILABLE, False),
        (503, Reason.SOURCE_UNAVAILABLE, False),
    ],
)
async def test_a_status_says_whether_to_try_again(
    fetch: Fetch, status: int, reason: Reason, permanent: bool
) -> None:
    async with serving(giving(b"", status)) as site:
        error = await fetch.refused({"http": {"url": f"{site.url}/a"}}, site)
    assert error.reason == reason
    assert is_permanent(error) is permanent


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/a",
        "http://[::1]/a",
        "http://user:pw@127.0.0.1/a",
        "http://2130706433/a",
    ],
)
async def test_no_source_leads_inside(fetch: Fetch, url: str) -> None:
    error = await fetch.refused({"http": {"url": url}})
    assert error.reason == Reason.SOURCE_ADDRESS_REFUSED
    assert is_permanent(error)
    assert "SLUICE_FETCH" in error.message


async def test_a_redirect_is_checked_like_the_url_itself(fetch: Fetch) -> None:
    async with serving(giving(b"secret")) as inside:
        leads = giving(b"", 302, {"location": f"{inside.url}/secret"})
        async with serving(leads) as site:
            error = await fetch.refused({"http": {"url": f"{site.url}/a"}}, site)
    assert error.reason == Reason.SOURCE_ADDRESS_REFUSED
    assert inside.asked == []


async def test_an_answer_that_breaks_off_may_be_asked_for_again(fetch: Fetch) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000"})
        await response.prepare(request)
        await response.write(lora.tar(FILES)[:100])
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(broken) as site:
        error = await fetch.refused({"http": {"url": f"{site.url}/a"}}, site)
    assert error.reason == Reason.SOURCE_UNAVAILABLE
    assert not is_permanent(error)


@pytest.mark.parametrize("tells", [True, False])
async def test_no_more_is_taken_than_an_adapter_may_have(fetch: Fetch, tells: bool) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"content-length": str(1 << 40)} if tells else {})
        await response.prepare(request)
        while sent < 1 << 26:
            await response.write(b"\0" * (1 << 16))
            sent += 1 << 16
        return response

    async with serving(endless) as site:
        error = await fetch.refused({"http": {"url": f"{site.url}/a"}}, site)
    assert error.reason == Reason.TOO_LARGE
    assert fetch.sink.taken <= fetch.max_bytes


# folders


def in_folder(path: Path) -> dict[str, Any]:
    return {"local": {"path": str(path)}}


async def test_a_folder_is_copied_from_below_its_root(fetch: Fetch, tmp_path: Path) -> None:
    root = tmp_path / "models"
    folder = lora.written(root / "a", {**FILES, "more": b"x"})
    assert await fetch(in_folder(folder), local_roots=(root,)) == str(folder)

    (folder / "adapter_model.safetensors").write_bytes(b"changed later")
    assert fetch.found == FILES


async def test_a_folder_of_links_is_read_as_far_as_they_stay_below_the_root(
    fetch: Fetch, tmp_path: Path
) -> None:
    root = tmp_path / "models"
    lora.written(root / "blobs", FILES)
    snapshot = root / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    for name in FILES:
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    await fetch(in_folder(snapshot), local_roots=(root,))
    assert fetch.found == FILES


def outside(tmp_path: Path) -> Path:
    return lora.written(tmp_path / "outside", FILES)


def linked_folder(tmp_path: Path) -> Path:
    outside(tmp_path)
    (tmp_path / "models" / "link").symlink_to(tmp_path / "outside")
    return tmp_path / "models" / "link"


def linked_file(tmp_path: Path) -> Path:
    folder = lora.written(tmp_path / "models" / "a", FILES)
    (folder / "adapter_config.json").unlink()
    (folder / "adapter_config.json").symlink_to("/etc/passwd")
    return folder


def neighbour(tmp_path: Path) -> Path:
    return lora.written(tmp_path / "models-of-others", FILES)


@pytest.mark.parametrize(
    "made",
    [
        outside,
        linked_folder,
        linked_file,
        neighbour,
        lambda tmp_path: outside(tmp_path) and tmp_path / "models" / ".." / "outside",
    ],
)
async def test_no_path_leads_out_of_the_roots(
    fetch: Fetch, tmp_path: Path, made: Callable[[Path], Path]
) -> None:
    (tmp_path / "models").mkdir()
    error = await fetch.refused(in_folder(made(tmp_path)), local_roots=(tmp_path / "models",))
    assert error.reason == Reason.SOURCE_PATH_REFUSED
    assert is_permanent(error)
    assert fetch.found == {}


async def test_outside_the_roots_nobody_learns_what_there_is(fetch: Fetch, tmp_path: Path) -> None:
    there = await fetch.refused(in_folder(lora.written(tmp_path / "a", FILES)))
    not_there = await fetch.refused(in_folder(tmp_path / "b"), local_roots=(tmp_path / "a",))
    assert there.reason == not_there.reason == Reason.SOURCE_PATH_REFUSED


async def test_a_folder_without_an_adapter_says_what_is_missing(fetch: Fetch, tmp_path: Path) -> None:
    nothing = await fetch.refused(in_folder(tmp_path / "none"), local_roots=(tmp_path,))
    pickled = lora.written(tmp_path / "p", PICKLED)
    pickle = await fetch.refused(in_folder(pickled), local_roots=(tmp_path,))

    assert nothing.reason == Reason.SOURCE_NOT_FOUND
    assert pickle.reason == Reason.NOT_SAFETENSORS


async def test_a_volume_is_found_by_its_claim_and_not_left(fetch: Fetch, tmp_path: Path) -> None:
    mounts = tmp_path / "pvc"
    lora.written(mounts / "adapters" / "team" / "a", FILES)
    lora.written(mounts / "of-others" / "a", FILES)
    claim = {"claimName": "adapters", "path": "/team/a"}
    await fetch({"pvc": claim}, pvc_root=mounts)
    assert fetch.found == FILES

    away = await fetch.refused({"pvc": {**claim, "path": "../of-others/a"}}, pvc_root=mounts)
    unmounted = await fetch.refused({"pvc": claim})
    assert away.reason == unmounted.reason == Reason.SOURCE_PATH_REFUSED


async def test_credentials_that_cannot_be_read_say_which_file(fetch: Fetch, tmp_path: Path) -> None:
    broken = lora.written(tmp_path, {"broken": b"[other]\n{"}) / "broken"
    async with serving(giving(b"")) as site:
        here = f"127.0.0.1:{site.port}"
        errors = [
            await fetch.refused(in_store(site, "a.zip"), site, s3_credentials_file=broken),
            await fetch.refused(
                {"oci": {"image": f"{here}/a"}}, site, registry_credentials_file=broken, **plain(site)
            ),
            await fetch.refused({"http": {"url": site.url}}, site, http_credentials_file=broken),
            await fetch.refused(on_hub(), site, hub_url=site.url, hub_token_file=tmp_path / "none"),
        ]
    assert {error.reason for error in errors} == {"CREDENTIALS_UNREADABLE"}
    assert all(str(tmp_path) in error.message and is_permanent(error) for error in errors)
    assert site.asked == []


async def test_a_small_limit_holds_for_every_file(fetch: Fetch, tmp_path: Path) -> None:
    folder = lora.written(tmp_path / "a", FILES)
    small = replace(fetch, max_bytes=1000)
    error = await small.refused(in_folder(folder), local_roots=(tmp_path,))
    assert error.reason == Reason.TOO_LARGE
