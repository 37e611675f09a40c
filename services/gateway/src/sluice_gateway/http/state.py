"""What every route can reach, typed in one place."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from sluice_gateway.domain.access import Access
from sluice_gateway.domain.model import Principal
from sluice_gateway.gateway import Gateway
from sluice_gateway.idempotency.idempotency import Idempotency
from sluice_gateway.settings import GatewaySettings

RUN_HEADER = "x-sluice-run-id"
CACHE_HEADER = "x-sluice-cache"
TENANT_HEADER = "x-sluice-tenant"


@dataclass(frozen=True)
class HttpState:
    """The application's state."""

    gateway: Gateway
    settings: GatewaySettings
    access: Callable[[], Access]
    not_ready: Callable[[], Awaitable[list[str]]]
    """Names what is not ready, with the reason."""
    idempotency: Idempotency


def of(request: Request) -> HttpState:
    """The application's state."""
    state: HttpState = request.app.state.sluice
    return state


def principal(request: Request) -> Principal:
    """Who asks; see `Access.principal`."""
    return (
        of(request)
        .access()
        .principal(request.headers.get("authorization"), request.headers.get(TENANT_HEADER))
    )
