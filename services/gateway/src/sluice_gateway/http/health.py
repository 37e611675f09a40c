"""`/healthz`, `/readyz`, `/metrics`."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sluice_gateway.http.replies.runs import Alive, Readiness
from sluice_gateway.http.state import of

router = APIRouter()


@router.get("/healthz", tags=["health"], response_model=None, responses={200: {"model": Alive}})
async def healthz() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    tags=["health"],
    response_model=None,
    responses={200: {"model": Readiness}, 503: {"model": Readiness, "description": "Something is away."}},
)
async def readyz(request: Request) -> JSONResponse:
    """Everything a run needs answers; otherwise 503 names what does not."""
    missing = await of(request).not_ready()
    if missing:
        return JSONResponse({"status": "not ready", "not_ready": missing}, 503)
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    tags=["health"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
