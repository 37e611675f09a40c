"""`GET /v1/models`: the pipelines, as OpenAI lists models."""

from fastapi import APIRouter, Request

from sluice_gateway.http.state import of, principal
from sluice_servicekit.errors import NotFound

router = APIRouter()

Json = dict[str, object]


@router.get("/v1/models")
async def list_models(request: Request) -> Json:
    """All pipelines."""
    models = of(request).gateway.models(principal(request))
    return {"object": "list", "data": [_model(name, description) for name, description in models]}


@router.get("/v1/models/{model:path}")
async def get_model(request: Request, model: str) -> Json:
    """One pipeline."""
    for name, description in of(request).gateway.models(principal(request)):
        if name == model:
            return _model(name, description)
    raise NotFound(f"there is no model {model!r}", reason="MODEL_NOT_FOUND")


def _model(name: str, description: str) -> Json:
    # OpenAI's clients want a time; a pipeline's is not known, and a changing one would defeat caches.
    return {"id": name, "object": "model", "created": 0, "owned_by": "sluice", "description": description}
