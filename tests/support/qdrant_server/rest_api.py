"""The part of the REST API that the retriever and an operator ask."""

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter
from qdrant_client import models

from support.qdrant_server.failures import QdrantError
from support.qdrant_server.grpc_api import Before
from support.qdrant_server.state import PEER, State

_SCHEMA: TypeAdapter[Any] = TypeAdapter(models.PayloadSchemaType | models.PayloadSchemaParams)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(state: State, before: Before) -> web.Application:
    """Answers as recorded: `{"result": …, "status": "ok", "time": …}`."""

    def answers(method: Callable[[str, Any, State], Any]) -> Handler:
        @functools.wraps(method)
        async def answer(request: web.Request) -> web.StreamResponse:
            began = time.monotonic()
            try:
                await before({key.lower(): value for key, value in request.headers.items()})
                body = await request.json() if request.can_read_body else None
                result = method(request.match_info.get("name", ""), body, state)
            except QdrantError as error:
                if error.kind.status == 401:
                    return web.Response(status=401, text=error.text)
                headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
                content = {"status": {"error": error.text}, "time": time.monotonic() - began}
                return web.json_response(content, status=error.kind.status, headers=headers)
            return web.json_response({"result": result, "status": "ok", "time": time.monotonic() - began})

        return answer

    async def root(request: web.Request) -> web.Response:
        return web.json_response({"title": "qdrant - vector search engine", "version": state.version})

    app = web.Application(client_max_size=1 << 26)
    app.router.add_get("/", root)
    app.router.add_get("/cluster", answers(_cluster))
    app.router.add_put("/collections/{name}", answers(_create))
    app.router.add_get("/collections/{name}", answers(_info))
    app.router.add_put("/collections/{name}/index", answers(_index))
    app.router.add_get("/collections/{name}/shards", answers(_keys))
    app.router.add_put("/collections/{name}/shards", answers(_create_key))
    app.router.add_post("/collections/{name}/shards/delete", answers(_drop_key))
    app.router.add_put("/collections/{name}/points", answers(_upsert))
    app.router.add_post("/collections/{name}/points/query", answers(_query))
    app.router.add_post("/collections/{name}/points/count", answers(_count))
    app.router.add_post("/collections/{name}/points/delete", answers(_delete))
    return app


def _cluster(name: str, body: Any, state: State) -> Any:
    if not state.cluster:
        return {"status": "disabled"}
    return {
        "status": "enabled",
        "peer_id": PEER,
        "peers": {str(PEER): {"uri": "http://127.0.0.1:6335/"}},
        "raft_info": {
            "term": 1,
            "commit": 14,
            "pending_operations": 0,
            "leader": PEER,
            "role": "Leader",
            "is_voter": True,
        },
        "consensus_thread_status": {
            "consensus_thread_status": "working",
            "last_update": "2026-11-23T17:20:58.318546962Z",
        },
        "message_send_failures": {},
    }


def _create(name: str, body: Any, state: State) -> bool:
    return state.create(name, models.CreateCollection.model_validate(body))


def _info(name: str, body: Any, state: State) -> Any:
    return _dump(state.info(name))


def _index(name: str, body: Any, state: State) -> Any:
    return _dump(state.index(name, body["field_name"], _SCHEMA.validate_python(body["field_schema"])))


def _keys(name: str, body: Any, state: State) -> Any:
    return {"shard_keys": [{"key": key} for key in state.keys(name)]}


def _create_key(name: str, body: Any, state: State) -> bool:
    asked = models.CreateShardingKey.model_validate(body)
    return state.create_key(name, str(asked.shard_key), asked.initial_state)


def _drop_key(name: str, body: Any, state: State) -> bool:
    return state.drop_key(name, body["shard_key"])


def _upsert(name: str, body: Any, state: State) -> Any:
    asked = models.PointsList.model_validate(body)
    return _dump(state.upsert(name, asked.points, asked.shard_key, asked.update_filter, asked.update_mode))


def _query(name: str, body: Any, state: State) -> Any:
    found = state.query(name, models.QueryRequest.model_validate(body))
    return {"points": [_dump(point) for point in found]}


def _count(name: str, body: Any, state: State) -> Any:
    asked = models.CountRequest.model_validate(body)
    return {"count": state.count(name, asked.filter, asked.shard_key)}


def _delete(name: str, body: Any, state: State) -> Any:
    asked = models.FilterSelector.model_validate(body)
    return _dump(state.delete(name, models.FilterSelector(filter=asked.filter), asked.shard_key))


def _dump(model: Any) -> Any:
    return model.model_dump(mode="json", exclude_none=True)
