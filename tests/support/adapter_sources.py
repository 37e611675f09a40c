"""Doubles of the servers that adapters come from: a hub, an object store, a registry. Each answers as the real one."""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote

from aiohttp import web
from yarl import URL

from support import lora

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Site:
    """A server on a port of its own, and what it was asked."""

    answer: Answer
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and `Authorization`."""

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """All it was asked for."""
        return [path for path, _ in self.asked]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Site]:
    """A server for the length of the block."""
    site = Site(answer)

    async def noting(request: web.Request) -> web.StreamResponse:
        site.asked.append((request.raw_path, request.headers.get("authorization", "")))
        return await site.answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", noting)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listening).start()
        site.port = listening.getsockname()[1]
        yield site
    finally:
        await runner.cleanup()


def giving(content: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Gives the same to all."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, status=status, headers=headers)

    return answer


COMMIT = "5f0b02c75b57c5855da9ae460ce51323ea669d8a"


@dataclass
class Hub:
    """`huggingface.co`: what its API and its files answer, the large ones from another host, by a signed URL."""

    repos: dict[str, dict[str, bytes]]
    token: str = ""
    """Asked for where it is not empty."""
    gated: frozenset[str] = frozenset()
    files: str = ""
    """Where large files are."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The hub itself."""
        parts = request.path.strip("/").split("/")
        is_api = parts[:2] == ["api", "models"]
        repo = "/".join(parts[2:4] if is_api else parts[:2])
        wrong = self._wrong(repo, parts[5] if is_api else parts[3], request)
        if wrong:
            status, code, message = wrong
            headers = {"x-error-code": code, "x-error-message": message}
            return web.json_response({"error": message}, status=status, headers=headers)
        if is_api:
            siblings = [{"rfilename": name} for name in (".gitattributes", *self.repos[repo])]
            return web.json_response({"id": repo, "sha": COMMIT, "private": False, "siblings": siblings})
        name = parts[4]
        content = self.repos[repo].get(name)
        if content is None:
            return web.Response(status=404, headers={"x-error-code": "EntryNotFound"})
        if name.endswith(".safetensors"):
            place = (
                f"{self.files}/repos/a%2Fb/{name}?response-content-disposition=a%3D%22b%22&Signature=x~y%2Bz"
            )
            return web.Response(status=302, headers={"location": place, "x-linked-size": str(len(content))})
        return web.Response(body=content, headers={"x-repo-commit": COMMIT})

    async def file(self, request: web.Request) -> web.StreamResponse:
        """The host of large files; it knows its URLs by how they are written."""
        if not request.raw_path.endswith("a%3D%22b%22&Signature=x~y%2Bz"):
            return web.Response(status=403)
        name = request.path.rpartition("/")[2]
        return web.Response(body=next(files[name] for files in self.repos.values() if name in files))

    def _wrong(self, repo: str, revision: str, request: web.Request) -> tuple[int, str, str] | None:
        may_read = not self.token or request.headers.get("authorization") == f"Bearer {self.token}"
        if repo not in self.repos or not may_read:
            return 401, "RepoNotFound", "Repository not found"
        if repo in self.gated:
            return 403, "GatedRepo", f"Access to model {repo} is restricted"
        if revision not in ("main", "v1", COMMIT):
            return 404, "RevisionNotFound", f"Invalid rev id: {revision}"
        return None


KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-1"


@dataclass
class ObjectStore:
    """S3, as far as GET goes: presigned URLs are verified as AWS describes it, errors are XML."""

    objects: dict[str, bytes]
    """By `bucket/key`."""
    public: bool = False
    region: str = REGION
    token: str = ""
    """Of a session."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The store."""
        path = URL(request.raw_path, encoded=True)
        bucket = path.path.split("/")[1]
        if not self.public and not self._is_signed(request):
            code = "SignatureDoesNotMatch" if request.query_string else "AccessDenied"
            return self._error(403, code)
        if not any(name.startswith(f"{bucket}/") for name in self.objects):
            return self._error(404, "NoSuchBucket")
        content = self.objects.get(path.path.removeprefix("/"))
        if content is None:
            return self._error(404, "NoSuchKey")
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return web.Response(body=content, headers={"etag": f'"{etag}"', "x-amz-bucket-region": self.region})

    def _error(self, status: int, code: str) -> web.Response:
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>No.</Message></Error>'
        return web.Response(
            text=body,
            status=status,
            content_type="application/xml",
            headers={"x-amz-bucket-region": self.region},
        )

    def _is_signed(self, request: web.Request) -> bool:
        """docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html"""
        path, _, query = request.raw_path.partition("?")
        given = dict(parse_qsl(query))
        if given.pop("X-Amz-Security-Token", "") != self.token:
            return False
        if self.token:
            given["X-Amz-Security-Token"] = self.token
        signature = given.pop("X-Amz-Signature", "")
        canonical = "&".join(f"{quote(key, safe='')}={quote(given[key], safe='')}" for key in sorted(given))
        asked = "\n".join(("GET", path, canonical, f"host:{request.host}", "", "host", "UNSIGNED-PAYLOAD"))
        at = given.get("X-Amz-Date", "")
        scope = f"{at[:8]}/{self.region}/s3/aws4_request"
        to_sign = "\n".join(("AWS4-HMAC-SHA256", at, scope, hashlib.sha256(asked.encode()).hexdigest()))
        key = f"AWS4{SECRET}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        return given.get("X-Amz-Credential") == f"{KEY}/{scope}" and hmac.compare_digest(signature, expected)


MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
TAR_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
RAW = "application/octet-stream"


@dataclass
class ArtifactRegistry:
    """A registry that gives tokens to those with a password, and sends on to another host for blobs."""

    repository: str
    login: str = ""
    """`user:password`; nobody is asked where it is empty."""
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """By tag or digest: the media type and the content."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    files: str = ""
    """Where blobs are."""
    pulls_of_a_token: int = 1000
    """Requests after which one has run out."""
    realm: str = ""
    """Where tokens are; the registry itself where it is empty."""
    _tokens: dict[str, int] = field(default_factory=dict)

    def layer(self, content: bytes, kind: str = RAW, title: str = "") -> dict[str, Any]:
        """Keeps a blob, and describes it."""
        digest = lora.digest(content)
        self.blobs[digest] = content
        annotations = {"annotations": {"org.opencontainers.image.title": title}} if title else {}
        return {"mediaType": kind, "digest": digest, "size": len(content), **annotations}

    def push(self, tag: str, *layers: dict[str, Any]) -> str:
        """Keeps an artifact, and gives its digest."""
        config = self.layer(b"{}", "application/vnd.oci.empty.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        return self._keep(tag, MANIFEST, manifest)

    def push_index(self, tag: str, *digests: str) -> str:
        """Keeps an index."""
        manifests = [
            {
                "mediaType": MANIFEST,
                "digest": digest,
                "size": 1,
                "platform": {"os": "linux", "architecture": "arm64"},
            }
            for digest in digests
        ]
        return self._keep(tag, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})

    def _keep(self, tag: str, kind: str, manifest: dict[str, Any]) -> str:
        content = json.dumps(manifest).encode()
        digest = lora.digest(content)
        self.manifests[tag] = self.manifests[digest] = kind, content
        return digest

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The registry."""
        if request.path == "/token":
            return self._token(request)
        if self.login and not self._may_pull(request):
            realm = self.realm or f"{self.url}/token"
            challenge = (
                f'Bearer realm="{realm}",service="registry",scope="repository:{self.repository}:pull,push"'
            )
            return self._error(401, "UNAUTHORIZED", {"www-authenticate": challenge})
        _, _, rest = request.path.partition(f"/v2/{self.repository}/")
        kind, _, reference = rest.partition("/")
        if kind == "manifests" and reference in self.manifests:
            media_type, content = self.manifests[reference]
            if media_type not in request.headers["accept"]:
                return self._error(404, "MANIFEST_UNKNOWN")
            return web.Response(body=content, headers={"content-type": media_type})
        if kind == "blobs" and reference in self.blobs:
            return web.Response(status=307, headers={"location": f"{self.files}/{reference}?sig=a%2Fb"})
        return self._error(404, "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """The host of blobs, which refuses whoever sends credentials that are not for it."""
        if "authorization" in request.headers or request.query_string != "sig=a/b":
            return web.Response(status=400)
        return web.Response(body=self.blobs[request.path.removeprefix("/")])

    def _may_pull(self, request: web.Request) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        left = self._tokens.get(token, 0)
        self._tokens[token] = left - 1
        return left > 0

    def _token(self, request: web.Request) -> web.Response:
        expected = "Basic " + base64.b64encode(self.login.encode()).decode()
        if request.headers.get("authorization") != expected:
            return self._error(401, "UNAUTHORIZED")
        if request.query.get("scope") != f"repository:{self.repository}:pull":
            return self._error(403, "DENIED")
        token = f"pull-{len(self._tokens)}"
        self._tokens[token] = self.pulls_of_a_token
        return web.json_response({"token": token, "expires_in": 300})

    @staticmethod
    def _error(status: int, code: str, headers: Mapping[str, str] | None = None) -> web.Response:
        body = {"errors": [{"code": code, "message": "no", "detail": None}]}
        return web.json_response(body, status=status, headers=headers)
