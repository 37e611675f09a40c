"""Runs the retriever."""


def main() -> None:
    """The `sluice-retriever` command."""
    # Here, since the worker process imports this module too and needs none of it.
    from sluice_retriever.service import build
    from sluice_retriever.settings import RetrieverSettings
    from sluice_servicekit.service import run_service

    run_service("retriever", RetrieverSettings, build)


if __name__ == "__main__":
    main()
