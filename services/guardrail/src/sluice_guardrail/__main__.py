"""Runs the guardrail."""

from sluice_guardrail.service import build
from sluice_guardrail.settings import GuardrailSettings
from sluice_servicekit.service import run_service


def main() -> None:
    """The `sluice-guardrail` command."""
    run_service("guardrail", GuardrailSettings, build)


if __name__ == "__main__":
    main()
