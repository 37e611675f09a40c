"""What the guardrail can be told."""

from typing import Annotated, Literal

from pydantic import Field

from sluice_servicekit.settings import ServiceSettings


class GuardrailSettings(ServiceSettings):
    """Settings of the guardrail."""

    guard_classifier: Literal["builtin", "off"] = "builtin"
    """The classifier that policies use where they name none; `off` leaves it to rules, and takes less memory."""
    guard_remembered: Annotated[int, Field(ge=0, le=10_000_000)] = 200_000
    """Documents whose classification is kept on disk, about 200 bytes each."""
