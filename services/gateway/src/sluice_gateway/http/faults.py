"""Every error as a response in OpenAI's shape; no framework's own body reaches a caller."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice_gateway.domain.outcome import RunFailedError
from sluice_gateway.http.errors import HttpFault, error_response
from sluice_gateway.http.state import RUN_HEADER
from sluice_servicekit.errors import Internal, InvalidArgument, NotFound, ServiceError

_LOG = logging.getLogger(__name__)


def handle_faults(app: FastAPI) -> None:
    """Has the application answer all errors that it knows."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RunFailedError, _run_failed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


class Unforeseen:
    """Answers what nothing else has caught. A middleware, since the framework's own handler of all exceptions is
    outside of them: its answer would have no request id, and no page of another origin could read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            if started:  # only a cut connection can still say that the response is not whole
                raise
            _LOG.error("a request failed", exc_info=error)
            unexpected = Internal("an unexpected error; the gateway's log has the details")
            await error_response(unexpected)(scope, receive, send)


async def _service_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return error_response(error)


async def _run_failed(_: Request, failed: Exception) -> Response:
    if not isinstance(failed, RunFailedError):
        raise failed
    response = error_response(failed.error, step=failed.step)
    response.headers[RUN_HEADER] = failed.run_id
    return response


async def _http_error(request: Request, error: Exception) -> Response:
    """What the framework raises itself; a 405 is answered before it gets here, see `methods`."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return error_response(NotFound(f"there is nothing at {request.url.path}", reason="UNKNOWN_URL"))
    fault = HttpFault(str(error.detail)) if error.status_code < 500 else Internal(str(error.detail))
    response = error_response(fault)
    response.status_code = error.status_code
    return response


async def _validation_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:])  # the first says where: query, path, header
    return error_response(InvalidArgument(f"{field}: {first['msg']}", field=field))
