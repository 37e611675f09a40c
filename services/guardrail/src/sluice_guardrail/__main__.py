"""Runs the guardrail."""

from sluice_guardrail.service import build
from sluice_servicekit.service import run_service
from sluice_servicekit.settings import ServiceSettings


def main() -> None:
    """The `sluice-guardrail` command."""
    run_service("guardrail", ServiceSettings, build)


if __name__ == "__main__":
    main()
