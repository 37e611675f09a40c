"""Headers that more than one route reads, as OpenAPI describes them."""

from typing import Any

from sluice_gateway.domain.admission.priority import HEADER as PRIORITY_HEADER
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.http.state import ARM_HEADER, SESSION_HEADER

Json = dict[str, Any]


def parameter(name: str, description: str, *, where: str = "query", **schema: Any) -> Json:
    """A parameter that may be left out."""
    return {"name": name, "in": where, "description": description, "schema": schema}


#: What every route reads.
WHO = (
    parameter(
        "X-Sluice-Tenant",
        "The tenant, where no API keys are in force; with a key, that key's.",
        where="header",
        type="string",
        pattern="^[A-Za-z0-9._-]{1,64}$",
    ),
    parameter(
        PRIORITY_HEADER,
        "How urgent it is; never more than the key allows, which is meant where it is empty.",
        where="header",
        type="string",
        enum=[*(str(priority) for priority in Priority), ""],
    ),
)

#: What routes read that start runs.
ADDRESSED = (
    parameter(
        SESSION_HEADER,
        "Which conversation it is, where the body does not say: an experiment's arm sticks to it.",
        where="header",
        type="string",
    ),
    parameter(ARM_HEADER, "Pins an experiment's arm; for admins.", where="header", type="string"),
)

PREFER = parameter(
    "Prefer",
    "`respond-async` answers once the run is taken on; `wait=N` waits for its end, 300 seconds at most (RFC 7240).",
    where="header",
    type="string",
    example="wait=30",
)

IDEMPOTENT = parameter(
    "Idempotency-Key",
    "The same request under the same key is answered with the first one's response, for as long as that is kept.",
    where="header",
    type="string",
    pattern="^[!-~]{1,255}$",
)
