"""Runs the reranker."""

from sluice_reranker.settings import RerankerSettings
from sluice_servicekit.service import Build, run_service


def main() -> None:
    """The `sluice-reranker` command."""
    run_service("reranker", RerankerSettings, _load)


def _load() -> Build[RerankerSettings]:
    from sluice_reranker.service import build

    return build


if __name__ == "__main__":
    main()
