"""`GET /v1/models`: pipelines and adapters, as OpenAI lists models."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sluice_gateway.domain.adapting.listing import ListedModel
from sluice_gateway.http.described import described
from sluice_gateway.http.replies.openai import Model, ModelList
from sluice_gateway.http.state import of, principal
from sluice_servicekit.errors import NotFound

router = APIRouter()

Json = dict[str, Any]


@router.get("/v1/models", **described("models", ModelList))
async def list_models(request: Request) -> Response:
    """All pipelines that the caller may ask, and the adapters that may answer in them: `PIPELINE/ALIAS`."""
    models = of(request).gateway.models(principal(request))
    return JSONResponse({"object": "list", "data": [_model(each) for each in models]})


@router.get("/v1/models/{model:path}", **described("models", Model, errors=(404,)))
async def get_model(request: Request, model: str) -> Response:
    """One of them; a slash in a name may come as it is, or escaped."""
    for each in of(request).gateway.models(principal(request)):
        if each.name == model:
            return JSONResponse(_model(each))
    raise NotFound(f"there is no model {model!r}", reason="MODEL_NOT_FOUND")


def _model(each: ListedModel) -> Json:
    # OpenAI's clients want a time; a pipeline's is not known, and a changing one would defeat caches.
    return {
        "id": each.name,
        "object": "model",
        "created": 0,
        "owned_by": "sluice",
        "description": each.description,
        "parent": each.parent or None,
    }
