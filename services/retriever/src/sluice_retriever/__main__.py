"""Runs the retriever. The worker process imports this module too, and needs nothing of the service."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice_retriever.settings import RetrieverSettings
    from sluice_servicekit.service import Build


def main() -> None:
    """The `sluice-retriever` command."""
    from sluice_retriever.settings import RetrieverSettings
    from sluice_servicekit.service import run_service

    run_service("retriever", RetrieverSettings, _load)


def _load() -> "Build[RetrieverSettings]":
    from sluice_retriever.service import build

    return build


if __name__ == "__main__":
    main()
