"""The guardrail's settings."""

from pathlib import Path

from sluice_servicekit.settings import ServiceSettings


class GuardrailSettings(ServiceSettings):
    """What the guardrail can be told."""

    modules_dir: Path | None = None
    """A folder of policies in WebAssembly, found by their digests. `sluice up -f FOLDER` says `FOLDER/modules`."""
    module_logs: bool = False
    """Write what such policies log into the log. It may hold texts that are screened."""
