"""Whatever a model server's spec says, the API server takes what is made of it."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings

from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses.model_server import ModelServerStatus
from sluice_operator.kinds.model_server.context import Context, Secrets
from sluice_operator.kinds.model_server.planning import plan
from sluice_operator.reconciling.kind import Item
from support import crds, model_servers
from support.api_server import ApiServer

pytestmark = pytest.mark.needs("cluster")

CONTEXT = Context(
    now=0.0,
    settings=model_servers.SETTINGS,
    status=ModelServerStatus(),
    token=base64.b64encode(b"t" * 48).decode(),
    secrets=Secrets("0" * 32),
)


@pytest.fixture(scope="module", autouse=True)
def _installed(server: ApiServer) -> None:
    crds.install(server)


@settings(deadline=None, max_examples=20, database=None)
@given(name=model_servers.names, vllm=model_servers.specs())
def test_every_manifest_is_accepted(server: ApiServer, name: str, vllm: dict[str, Any]) -> None:
    body = model_servers.body(name, **vllm)
    item = Item(ModelServer.model_validate(body), model_servers.UID, 1)
    manifests = [manifest for _, manifest in plan(item, CONTEXT).manifests]
    everything = {"apiVersion": "v1", "kind": "List", "items": [body, *manifests]}

    told = server.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        stdin=json.dumps(everything),
    )

    assert told.count("serverside-applied (server dry run)") == 1 + len(manifests)
