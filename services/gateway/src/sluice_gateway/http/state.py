"""What every route can reach, typed in one place."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from fastapi import Request

from sluice_gateway.domain.access import Access
from sluice_gateway.domain.adapting.naming import selecting
from sluice_gateway.domain.admission.priority import HEADER as PRIORITY_HEADER
from sluice_gateway.domain.coalescing import Running
from sluice_gateway.domain.model import Principal, RunRequest
from sluice_gateway.experiments.reporting import Experiments
from sluice_gateway.gateway import Gateway
from sluice_gateway.http.rate_limits import PRINCIPAL
from sluice_gateway.idempotency.idempotency import Idempotency
from sluice_gateway.run_control import RunControl
from sluice_gateway.settings import GatewaySettings
from sluice_servicekit import context

RUN_HEADER = "x-sluice-run-id"
CACHE_HEADER = "x-sluice-cache"
TENANT_HEADER = "x-sluice-tenant"
SESSION_HEADER = "x-sluice-session"
TASK_HEADER = "x-sluice-task"
LOCALE_HEADER = "x-sluice-locale"
ARM_HEADER = "x-sluice-arm"


@dataclass(frozen=True)
class HttpState:
    """The application's state."""

    gateway: Gateway
    settings: GatewaySettings
    access: Callable[[], Access]
    not_ready: Callable[[], Awaitable[list[str]]]
    """Names what is not ready, with the reason."""
    experiments: Experiments
    control: RunControl
    idempotency: Idempotency | None = None
    """None takes no notice of keys."""


def of(request: Request) -> HttpState:
    """The application's state."""
    state: HttpState = request.app.state.sluice
    return state


def principal(request: Request) -> Principal:
    """Who asks; see `Access.principal`."""
    headers = request.headers
    who = (
        of(request)
        .access()
        .principal(headers.get("authorization"), headers.get(TENANT_HEADER), headers.get(PRIORITY_HEADER))
    )
    setattr(request.state, PRINCIPAL, who)
    context.key.set(who.key)
    return who


def addressed(request: Request, asked: RunRequest) -> RunRequest:
    """The question with what headers say of its session, its task and language, and of the arm it is to go to."""
    headers = request.headers
    return replace(
        asked,
        session=asked.session or headers.get(SESSION_HEADER, ""),
        task=asked.task or selecting(TASK_HEADER, headers.get(TASK_HEADER, "")),
        locale=asked.locale or selecting(LOCALE_HEADER, headers.get(LOCALE_HEADER, "")),
        arm=headers.get(ARM_HEADER, ""),
    )


def run_headers(run: Running) -> dict[str, str]:
    """What every answer's headers say of its run."""
    assigned = run.assignment
    used = run.cache
    return {
        RUN_HEADER: run.run_id,
        **({ARM_HEADER: assigned.arm} if assigned else {}),
        **({CACHE_HEADER: used.word} if used else {}),
    }
