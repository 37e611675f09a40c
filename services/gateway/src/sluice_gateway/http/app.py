"""The HTTP application: routes, one shape for every error, an id on every response."""

from fastapi import FastAPI
from fastapi.routing import APIRoute

from sluice_gateway.http import (
    chat,
    embeddings,
    experiments,
    feedback,
    guard,
    health,
    knowledge,
    knowledge_bases,
    legacy_completions,
    models,
    openapi,
    rebuilding,
    run_control,
    run_events,
    runs,
    search,
)
from sluice_gateway.http.cors import allow_origins
from sluice_gateway.http.faults import Unforeseen, handle_faults
from sluice_gateway.http.methods import Methods
from sluice_gateway.http.rate_limits import RateLimits
from sluice_gateway.http.request_ids import RequestId
from sluice_gateway.http.state import HttpState
from sluice_gateway.http.web_pages import WebPages

#: In the order in which they are asked: `events` is no run's id.
ROUTES = (
    chat,
    legacy_completions,
    embeddings,
    guard,
    models,
    search,
    knowledge,
    knowledge_bases,
    rebuilding,
    run_events,
    runs,
    run_control,
    feedback,
    experiments,
    health,
    openapi,
)


def make_app(state: HttpState) -> FastAPI:
    """The application over a gateway."""
    app = bare_app()
    app.state.sluice = state
    handle_faults(app)
    # The last one added is the first to see a request.
    routes = [route for module in ROUTES for route in module.router.routes if isinstance(route, APIRoute)]
    app.add_middleware(Methods, routes=routes)
    app.add_middleware(Unforeseen)
    app.add_middleware(RateLimits, standing=lambda who: state.gateway.standing(who))
    allow_origins(app, state.settings.origins)
    app.add_middleware(
        WebPages,
        is_open=lambda: state.access().is_open,
        listening=state.settings.http_listen,
        origins=state.settings.origins,
    )
    app.add_middleware(RequestId)
    return app


def bare_app() -> FastAPI:
    """The routes with nothing behind them: enough to describe them."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"metrics": False, "logs": False},  # ours are Prometheus's and the logging module's
    )
    for module in ROUTES:
        app.include_router(module.router)
    openapi.describe(app)
    return app
