"""Runs the reranker."""

from sluice_servicekit.service import Build, run_service
from sluice_servicekit.settings import ServiceSettings


def main() -> None:
    """The `sluice-reranker` command."""
    run_service("reranker", ServiceSettings, _load)


def _load() -> Build[ServiceSettings]:
    from sluice_reranker.service import build

    return build


if __name__ == "__main__":
    main()
