"""A double of a search server, for what a real one does not do at will: errors in the shapes that Elasticsearch and
OpenSearch document, silence, and a full queue."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

#: Elasticsearch's security answers in JSON, OpenSearch's in plain text.
ELASTICSEARCH_401 = json.dumps(
    {
        "error": {
            "root_cause": [{"type": "security_exception", "reason": "missing authentication credentials"}],
            "type": "security_exception",
            "reason": "missing authentication credentials for REST request [/kb]",
            "header": {"WWW-Authenticate": ['Basic realm="security" charset="UTF-8"', "ApiKey"]},
        },
        "status": 401,
    }
)
OPENSEARCH_401 = "Unauthorized"


@dataclass
class SearchServer:
    """What it answers, and what it was asked."""

    status: int = 200
    body: str = "{}"
    silent: bool = False
    full_for: int = 0
    """Bulk requests of which every second item is refused for want of room."""
    refuses_item: bool = False
    """A bulk request's first item does not fit the mapping."""
    url: str = ""
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Method, path with query, body."""
    headers: list[dict[str, str]] = field(default_factory=list)


@asynccontextmanager
async def serving(server: SearchServer) -> AsyncIterator[SearchServer]:
    """Serves on loopback for the length of the block; sets `url`."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        server.requests.append((request.method, request.path_qs, body))
        server.headers.append(dict(request.headers))
        if server.silent:
            await asyncio.sleep(3600)
        if server.status == 200 and request.path.endswith("/_bulk"):
            return web.json_response(_bulk(server, body))
        return web.Response(status=server.status, text=server.body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def _bulk(server: SearchServer, body: bytes) -> dict[str, Any]:
    actions = [json.loads(line) for line in body.splitlines()[::2]]
    items = [{"index": {"_id": action["index"]["_id"], "status": 201}} for action in actions]
    if server.full_for:
        server.full_for -= 1
        for item in items[::2]:
            reason = {"type": "es_rejected_execution_exception", "reason": "rejected execution of operation"}
            item["index"] |= {"status": 429, "error": reason}
    if server.refuses_item:
        reason = {"type": "mapper_parsing_exception", "reason": "failed to parse field [write]"}
        items[0]["index"] |= {"status": 400, "error": reason}
    return {"took": 1, "errors": any(item["index"]["status"] > 201 for item in items), "items": items}
