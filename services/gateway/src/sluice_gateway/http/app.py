"""The HTTP application: routes, one shape for every error, an id on every response."""

import logging
import uuid

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice_gateway.domain.outcome import RunFailedError
from sluice_gateway.http import (
    chat,
    guard,
    health,
    knowledge,
    knowledge_bases,
    models,
    rebuilding,
    run_control,
    run_events,
    runs,
    search,
)
from sluice_gateway.http.errors import error_response
from sluice_gateway.http.state import RUN_HEADER, HttpState
from sluice_servicekit.errors import Internal, InvalidArgument, NotFound, ServiceError

_LOG = logging.getLogger(__name__)

_MAX_REQUEST_ID = 128


def make_app(state: HttpState) -> FastAPI:
    """The application over a gateway."""
    app = FastAPI(title="Sluice gateway", docs_url=None, redoc_url=None)
    app.state.sluice = state
    for module in (
        chat,
        guard,
        models,
        search,
        knowledge,
        knowledge_bases,
        rebuilding,
        run_events,
        runs,
        run_control,
        health,
    ):
        app.include_router(module.router)
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RunFailedError, _run_failed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _unforeseen)
    app.add_middleware(RequestId)
    return app


class RequestId:
    """Puts `x-request-id` on every response: the caller's own, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        known = 0 < len(given) <= _MAX_REQUEST_ID and given.isascii()
        request_id = given if known else uuid.uuid4().hex.encode()

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        await self._app(scope, receive, with_id)


async def _service_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return error_response(error)


async def _run_failed(request: Request, failed: Exception) -> Response:
    if not isinstance(failed, RunFailedError):
        raise failed
    if promoted := await run_control.promoted(request, failed):
        return promoted
    response = error_response(failed.error, step=failed.step)
    response.headers[RUN_HEADER] = failed.run_id
    return response


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return error_response(NotFound(f"there is nothing at {request.url.path}", reason="UNKNOWN_URL"))
    response = error_response(InvalidArgument(str(error.detail)))
    response.status_code = error.status_code
    return response


async def _validation_error(_: Request, error: Exception) -> Response:
    return error_response(InvalidArgument(str(error)))


async def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    _LOG.error("a request failed", exc_info=error)
    return error_response(Internal("an unexpected error; the gateway's log has the details"))
