"""`GET /openapi.json`: what the routes say of themselves, with what holds for all of them."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from sluice_gateway.http.replies.openai import Error

Json = dict[str, Any]

router = APIRouter()

_DESCRIPTION = (
    "Questions to documents, answered through three gates. Errors have OpenAI's shape everywhere. Every response has"
    " `x-request-id`; every run has `x-sluice-run-id`. GET routes that do not stream answer HEAD too, and all routes"
    " answer OPTIONS."
)

#: Open to whoever reaches the port.
_OPEN = ("/healthz", "/readyz", "/metrics")

_REQUEST_ID = {
    "description": "The caller's own, or a new one.",
    "required": True,
    "schema": {"type": "string"},
}


def describe(app: FastAPI) -> None:
    """Has `app.openapi` give the whole description, made once."""
    made: Json = {}

    def openapi() -> Json:
        if not made:
            made.update(_whole(app))
        return made

    app.openapi = openapi  # type: ignore[method-assign]


@router.get("/openapi.json", include_in_schema=False)
async def read_openapi(request: Request) -> Response:
    """The description of all routes."""
    return Response(as_json(request.app), media_type="application/json")


def as_json(app: FastAPI) -> str:
    """The description as a file holds it."""
    return json.dumps(app.openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _whole(app: FastAPI) -> Json:
    described = get_openapi(
        title="Sluice gateway",
        version="v1",
        description=_DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0"},
        servers=[{"url": "/"}],
    )
    components = described.setdefault("components", {})
    components["securitySchemes"] = {
        "ApiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key; without a keys file the gateway is open and needs none.",
        }
    }
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # the framework's own, which no route gives
        schemas.pop(name, None)
    for path, operation in _operations(described):
        operation["security"] = [] if path in _OPEN else [{"ApiKey": []}, {}]
        operation.pop("operationId", None)
        responses = operation["responses"]
        responses.pop("422", None)
        for response in responses.values():
            response.setdefault("headers", {})["x-request-id"] = _REQUEST_ID
        for content in _contents(operation):
            content["schema"] = _hoisted(content["schema"], schemas)
    schemas["Error"] = _hoisted(Error.model_json_schema(), schemas)
    return described


def _operations(described: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in described["paths"].items():
        for operation in methods.values():
            yield path, operation


def _contents(operation: Json) -> Iterator[Json]:
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from part.get("content", {}).values()


def _hoisted(schema: Json, schemas: Json) -> Json:
    """The schema, its parts moved to where the whole document looks for them.

    Raises:
        ValueError: two parts have one name.
    """
    whole: Json = json.loads(json.dumps(schema).replace("#/$defs/", "#/components/schemas/"))
    for name, part in whole.pop("$defs", {}).items():
        if schemas.setdefault(name, part) != part:
            raise ValueError(f"two schemas are called {name}")
    return whole
