"""`GET /v1/models`: the pipelines, as OpenAI lists models."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sluice_gateway.http.described import described
from sluice_gateway.http.replies.openai import Model, ModelList
from sluice_gateway.http.state import of, principal
from sluice_servicekit.errors import NotFound

router = APIRouter()

Json = dict[str, Any]


@router.get("/v1/models", **described("models", ModelList))
async def list_models(request: Request) -> Response:
    """All pipelines that the caller may ask. The aliases of adapters are no models of the gateway: a pipeline names the
    one that writes its answers."""
    models = of(request).gateway.models(principal(request))
    return JSONResponse(
        {"object": "list", "data": [_model(name, description) for name, description in models]}
    )


@router.get("/v1/models/{model:path}", **described("models", Model, errors=(404,)))
async def get_model(request: Request, model: str) -> Response:
    """One pipeline; a slash in a name may come as it is, or escaped."""
    for name, description in of(request).gateway.models(principal(request)):
        if name == model:
            return JSONResponse(_model(name, description))
    raise NotFound(f"there is no model {model!r}", reason="MODEL_NOT_FOUND")


def _model(name: str, description: str) -> Json:
    # OpenAI's clients want a time; a pipeline's is not known, and a changing one would defeat caches.
    return {"id": name, "object": "model", "created": 0, "owned_by": "sluice", "description": description}
