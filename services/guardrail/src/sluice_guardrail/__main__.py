"""Runs the guardrail."""

from sluice_guardrail.settings import GuardrailSettings
from sluice_servicekit.service import Build, run_service


def main() -> None:
    """The `sluice-guardrail` command."""
    run_service("guardrail", GuardrailSettings, _load)


def _load() -> Build[GuardrailSettings]:
    from sluice_guardrail.service import build

    return build


if __name__ == "__main__":
    main()
