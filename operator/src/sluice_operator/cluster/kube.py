"""`Cluster` over the official Kubernetes client: its connection and its login; paths and bodies are ours."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource
from sluice_servicekit import errors

FIELD_MANAGER = "sluice-operator"

_APPLY = "application/apply-patch+yaml"
_SECONDS = 30.0


class KubeCluster:
    """One API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

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
        query = (
            {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}
        )
        reply = await self._call("GET", resource.path(namespace), query)
        of = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**of, **item} for item in reply["items"]]

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
        headers = {"Accept": "application/json", "Content-Type": content_type}
        client, queries = self._client, list((query or {}).items())
        try:
            await client.update_params_for_auth(headers, queries, ["BearerToken"], path, method, body)
            url = f"{client.configuration.host}{path}{'?' + urlencode(queries) if queries else ''}"
            reply = await client.rest_client.request(  # type: ignore[no-untyped-call]
                method, url, headers, body, _request_timeout=_SECONDS
            )
            text = await reply.read()
        except (aiohttp.ClientError, OSError) as error:
            raise errors.Unavailable(f"the API server cannot be reached: {error}") from error
        except TimeoutError as error:
            raise errors.DeadlineExceeded(f"the API server did not answer in {_SECONDS:g} s") from error

        if 200 <= reply.status < 300:
            return json.loads(text)
        raise _refused(reply.status, text, reply.headers)


def _refused(status: int, text: bytes, headers: Mapping[str, str]) -> errors.ServiceError:
    try:
        message = str(json.loads(text)["message"])
    except (TypeError, ValueError, KeyError):
        message = f"the API server answered {status}"
    match status:
        case 400 | 422:
            return errors.InvalidArgument(message)
        case 401 | 403:
            return errors.PermissionDenied(message)
        case 404:
            return errors.NotFound(message)
        case 409:
            return errors.Conflict(message)
        case 429:
            return errors.ResourceExhausted(message, retry_after=float(headers.get("Retry-After") or 1.0))
    return errors.Unavailable(message)
