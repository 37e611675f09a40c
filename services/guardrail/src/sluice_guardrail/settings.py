"""What the guardrail can be told."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sluice_servicekit.settings import ServiceSettings


class GuardrailSettings(ServiceSettings):
    """Settings of the guardrail."""

    modules_dir: Path | None = None
    """A folder of policies in WebAssembly, found by their digests. `sluice up -f FOLDER` says `FOLDER/modules`."""
    module_logs: bool = False
    """Write what such policies log into the log. It may hold texts that are screened."""
    guard_classifier: Literal["builtin", "off"] = "builtin"
    """The classifier that policies use where they name none; `off` leaves it to rules, and takes less memory."""
    guard_remembered: Annotated[int, Field(ge=0, le=10_000_000)] = 200_000
    """Documents whose classification is kept on disk, about 200 bytes each."""
    vault_key_file: Path | None = None
    """The keys for what is redacted reversibly, one a line in base64; the first seals. `vault.key` in the folder of
    secrets, or else one in the data folder, when not given. All replicas need the same."""
    vault_seconds: Annotated[float, Field(gt=0, le=86400)] = 3600.0
    """How long after a request what was redacted from it can be put back."""
