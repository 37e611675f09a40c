"""`Cluster` and `Source` over the official Kubernetes client: its connections and its login; the bodies are ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient

from sluice_operator.cluster import refusals
from sluice_operator.cluster.protocol import FIELD_MANAGER, Manifest
from sluice_operator.cluster.resources import Resource
from sluice_operator.cluster.watching import Scope
from sluice_servicekit import errors

_APPLY = "application/apply-patch+yaml"
_SECONDS = 30.0
_PAGE = 500
_STREAM_SECONDS = 290
#: A stream tells at least a bookmark each minute; one that is silent for longer is dead.
_SILENCE_SECONDS = 90.0


class KubeCluster:
    """One API server.

    Args:
        concurrent: Calls at a time; further ones wait. Streams are not counted, and need connections of their own.
    """

    def __init__(self, client: ApiClient, concurrent: int = 32) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(concurrent)

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """The object, or none."""
        try:
            found: Manifest = await self._call("GET", resource.path(namespace, name))
        except errors.NotFound:
            return None
        return found

    async def list(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """The objects that have all of the labels, of one namespace or of all."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        found, _ = await self.snapshot(Scope(resource, namespace, selector))
        return found

    async def apply(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Server-side apply."""
        return await self._apply(resource, manifest, "")

    async def apply_status(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Server-side apply of the status subresource."""
        return await self._apply(resource, manifest, "status")

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        """Deletes in the background."""
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._call("DELETE", resource.path(namespace, name), body=body)
        except (errors.NotFound, errors.Conflict):  # gone, or another object has its name
            return

    async def snapshot(self, scope: Scope) -> tuple[Sequence[Manifest], str]:
        """All objects, by pages, and the version at which they were so."""
        resource = scope.resource
        of = {"apiVersion": resource.api_version, "kind": resource.kind}
        query = {"limit": str(_PAGE)} | _selecting(scope)
        found: tuple[Manifest, ...] = ()
        while True:
            reply = await self._call("GET", resource.path(scope.namespace), query)
            found += tuple({**of, **item} for item in reply["items"])
            metadata = reply["metadata"]
            if not metadata.get("continue"):
                return found, metadata["resourceVersion"]
            query["continue"] = metadata["continue"]

    async def changes(self, scope: Scope, version: str) -> AsyncIterator[tuple[str, Manifest]]:
        """What has changed since, until the server ends the stream."""
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_STREAM_SECONDS),
        } | _selecting(scope)
        patience = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS, sock_read=_SILENCE_SECONDS)
        async with self._reply("GET", scope.resource.path(scope.namespace), query, timeout=patience) as reply:
            async for line in reply.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise refusals.of(int(event["object"].get("code") or 0), event["object"], {})
                yield event["type"], event["object"]

    async def _apply(self, resource: Resource, manifest: Manifest, subresource: str) -> Manifest:
        metadata = manifest["metadata"]
        path = resource.path(metadata["namespace"], metadata["name"], subresource)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        applied: Manifest = await self._call("PATCH", path, query, body=manifest, content_type=_APPLY)
        return applied

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Any:
        patience = aiohttp.ClientTimeout(total=_SECONDS)
        async with (
            self._turns,
            self._reply(method, path, query, body, content_type, timeout=patience) as reply,
        ):
            return json.loads(await reply.read())

    @asynccontextmanager
    async def _reply(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the client's own
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        client, queries = self._client, list((query or {}).items())
        headers = {**client.default_headers, "Accept": "application/json", "Content-Type": content_type}
        try:
            await client.update_params_for_auth(headers, queries, ["BearerToken"], path, method, body)
            url = f"{client.configuration.host}{path}{'?' + urlencode(queries) if queries else ''}"
            reply: aiohttp.ClientResponse = (
                await client.rest_client.request(  # type: ignore[no-untyped-call]
                    method, url, headers, body, _request_timeout=timeout
                )
            ).response
            async with reply:
                if not 200 <= reply.status < 300:
                    raise refusals.of(reply.status, await reply.read(), reply.headers)
                yield reply
        except TimeoutError as error:
            raise errors.DeadlineExceeded("the API server did not answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # A ValueError is half a line of JSON, where a stream broke off.
            raise errors.Unavailable(f"the API server cannot be reached: {error}") from error


def _selecting(scope: Scope) -> dict[str, str]:
    return {"labelSelector": scope.selector} if scope.selector else {}
