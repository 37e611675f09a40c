"""Runs the reranker."""

from sluice_reranker.service import build
from sluice_servicekit.service import run_service
from sluice_servicekit.settings import ServiceSettings


def main() -> None:
    """The `sluice-reranker` command."""
    run_service("reranker", ServiceSettings, build)


if __name__ == "__main__":
    main()
