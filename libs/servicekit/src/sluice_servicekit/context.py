"""Which run, of which tenant, the current work belongs to, and the name of the key that asked for it; logs carry all
three, outgoing calls run and tenant."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager

RUN_KEY = "x-sluice-run-id"
TENANT_KEY = "x-sluice-tenant"

run_id: contextvars.ContextVar[str] = contextvars.ContextVar("run_id", default="")
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="")
key: contextvars.ContextVar[str] = contextvars.ContextVar("key", default="")


@contextmanager
def bound(run: str, of_tenant: str) -> Iterator[None]:
    """Within the block, work belongs to this run and tenant."""
    tokens = run_id.set(run), tenant.set(of_tenant)
    try:
        yield
    finally:
        run_id.reset(tokens[0])
        tenant.reset(tokens[1])
