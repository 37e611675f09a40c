"""Runs inference."""

from sluice_servicekit.service import Build, run_service
from sluice_servicekit.settings import ServiceSettings


def main() -> None:
    """The `sluice-inference` command."""
    run_service("inference", ServiceSettings, _load)


def _load() -> Build[ServiceSettings]:
    from sluice_inference.service import build

    return build


if __name__ == "__main__":
    main()
