"""Sluice's custom resource definitions on an API server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.aio import client, config

from sluice_api.objects.registry import KINDS
from sluice_operator.cluster.resources import resource_of
from support.api_server import ApiServer

FOLDER = Path(__file__).parents[2] / "crds"


def install(server: ApiServer) -> None:
    """Applies all of them, and waits until they are served. Costs little where they are there already."""
    server.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(FOLDER))
    server.kubectl("wait", "--for=condition=Established", "--timeout=90s", "-f", str(FOLDER))


@dataclass(frozen=True)
class Reply:
    """What the server says."""

    status: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        """Of a refusal."""
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field and message of everything that a refusal names."""
        found = (self.body.get("details") or {}).get("causes") or []
        return [(str(each.get("field", "")), str(each.get("message", ""))) for each in found]


class Objects:
    """Objects of Sluice's kinds, as a client that knows no model sends them; refusals are replies."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    async def create(self, manifest: dict[str, Any], *, dry_run: bool = False) -> Reply:
        """Makes one. Unknown fields are refused, as by kubectl."""
        return await self._send("POST", self._path(manifest), manifest, dry_run)

    async def replace(self, manifest: dict[str, Any], *, dry_run: bool = False, of: str = "") -> Reply:
        """Writes one anew, or a subresource of it."""
        name = manifest["metadata"]["name"]
        path = f"{self._path(manifest)}/{name}" + (f"/{of}" if of else "")
        return await self._send("PUT", path, manifest, dry_run)

    @staticmethod
    def _path(manifest: dict[str, Any]) -> str:
        return resource_of(KINDS[manifest["kind"]]).path(manifest["metadata"]["namespace"])

    async def _send(self, method: str, path: str, body: dict[str, Any], dry_run: bool) -> Reply:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        query = "fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        url = f"{self._api.configuration.host}{path}?{query}"
        reply = await self._api.rest_client.request(method, url, headers, body, _request_timeout=60)
        return Reply(reply.status, json.loads(await reply.read()))


@asynccontextmanager
async def objects(server: ApiServer) -> AsyncIterator[Objects]:
    """A client for the length of the block."""
    configuration = client.Configuration()
    await config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        yield Objects(api)
