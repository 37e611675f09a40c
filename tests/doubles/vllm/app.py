"""The paths of a double, and what they answer."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from doubles.vllm import errors, refusing, tokens
from doubles.vllm.errors import ApiError
from doubles.vllm.generating import chat, completions
from doubles.vllm.writing import Json, Request, compact

if TYPE_CHECKING:
    from doubles.vllm.server import Vllm

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8"

#: Paths that ask for a key where there is one; the others do not, the tokenizer's among them.
_GUARDED = ("/v1", "/v2", "/inference", "/cohere")


def application(server: "Vllm") -> web.Application:
    """All that vLLM serves and Sluice asks for."""
    app = web.Application(middlewares=[_middleware(server)], client_max_size=64 * 1024**2)
    paths = _Paths(server)
    app.router.add_get("/health", paths.health)
    app.router.add_get("/version", paths.version)
    app.router.add_get("/metrics", paths.metrics)
    app.router.add_get("/v1/models", paths.models)
    app.router.add_post("/tokenize", paths.tokenize)
    app.router.add_post("/detokenize", paths.detokenize)
    app.router.add_post("/v1/chat/completions", paths.chat)
    app.router.add_post("/v1/completions", paths.completions)
    if server.settings.runtime_lora:
        app.router.add_post("/v1/load_lora_adapter", paths.load)
        app.router.add_post("/v1/unload_lora_adapter", paths.unload)
    return app


def _middleware(server: "Vllm") -> Any:
    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if server.faults.silent:
            await asyncio.Event().wait()
        try:
            if (
                server.settings.api_key
                and request.path.startswith(_GUARDED)
                and not _has_key(request, server)
            ):
                raise errors.unauthorized()
            return await handler(request)
        except ApiError as error:
            return _json(error.body, status=error.status, headers=error.headers)
        except web.HTTPException as error:
            return _json({"detail": HTTPStatus(error.status).phrase}, status=error.status)

    return answer


def _has_key(request: web.Request, server: "Vllm") -> bool:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and key == server.settings.api_key


class _Paths:
    def __init__(self, server: "Vllm") -> None:
        self._server = server

    async def health(self, _request: web.Request) -> web.Response:
        return _plain("", 503 if self._server.died.is_set() else self._server.faults.health)

    async def version(self, _request: web.Request) -> web.Response:
        return _json({"version": self._server.settings.version})

    async def metrics(self, _request: web.Request) -> web.Response:
        text = self._server.metrics.text().encode()
        return web.Response(body=text, headers={"content-type": _METRICS_TYPE})

    async def models(self, _request: web.Request) -> web.Response:
        settings = self._server.settings
        base = _card(settings.model, settings.model, None, settings.max_model_len)
        adapters = self._server.adapters.values()
        cards = [_card(each.name, each.path, settings.model, None) for each in adapters]
        return _json({"object": "list", "data": [base, *cards]})

    async def load(self, request: web.Request) -> web.Response:
        body = await _body(request, "lora_name", "lora_path")
        await self._server.load(
            body["lora_name"], body["lora_path"], in_place=body.get("load_inplace", False)
        )
        return _plain(f"Success: LoRA adapter '{body['lora_name']}' added successfully.")

    async def unload(self, request: web.Request) -> web.Response:
        body = await _body(request, "lora_name")
        await self._server.unload(body["lora_name"])
        return _plain(f"Success: LoRA adapter '{body['lora_name']}' removed successfully.")

    async def tokenize(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if "messages" in body:
            text = tokens.chat_text(body["messages"], prompted=body.get("add_generation_prompt", True))
        elif "prompt" in body:
            text = body["prompt"]
        else:
            raise errors.missing(["prompt", "messages"], body)
        self._server.adapter(body.get("model"))
        ids = tokens.encode(text)
        return _json(
            {
                "count": len(ids),
                "max_model_len": self._server.settings.max_model_len,
                "tokens": ids,
                "token_strs": tokens.strings(ids) if body.get("return_token_strs") else None,
            }
        )

    async def detokenize(self, request: web.Request) -> web.Response:
        body = await _body(request, "tokens")
        self._server.adapter(body.get("model"))
        return _json({"prompt": tokens.decode(body["tokens"])})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        return await chat(self._server, request, await self._heard(request, refusing.chat))

    async def completions(self, request: web.Request) -> web.StreamResponse:
        return await completions(self._server, request, await self._heard(request, refusing.completion))

    async def _heard(self, request: web.Request, refuse: Callable[[Json], None]) -> Json:
        body = await _body(request)
        heard = Request(request.method, request.path, body, dict(request.headers))
        self._server.requests.append(heard)
        self._server.asked.set()
        self._server.heard(heard)
        if self._server.faults.status:
            raise errors.failed(self._server.faults.status)
        refuse(body)
        return body


async def _body(request: web.Request, *fields: str) -> Json:
    if request.content_type != "application/json":
        raise errors.media_type()
    try:
        body = json.loads(await request.read())
    except json.JSONDecodeError as error:
        raise errors.no_json(error.msg, error.pos) from error
    if not isinstance(body, dict):
        raise errors.no_object(body)
    if absent := [field for field in fields if field not in body]:
        raise errors.missing(absent, body)
    return body


def _json(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=compact(body), status=status, headers={"content-type": "application/json", **(headers or {})}
    )


def _plain(text: str, status: int = 200) -> web.Response:
    """A reply without a content type, as Starlette sends text that is given none."""
    return _Untyped(body=text.encode(), status=status)


class _Untyped(web.Response):
    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall("content-type", None)


def _card(name: str, root: str, parent: str | None, length: int | None) -> Json:
    created = int(time.time())
    permission = {
        "id": f"modelperm-{secrets.token_hex(8)}",
        "object": "model_permission",
        "created": created,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "vllm",
        "root": root,
        "parent": parent,
        "max_model_len": length,
        "permission": [permission],
    }
