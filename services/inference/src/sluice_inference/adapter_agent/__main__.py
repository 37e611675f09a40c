"""Runs the adapter agent."""

from sluice_inference.adapter_agent.settings import AdapterAgentSettings
from sluice_servicekit.service import Build, run_service


def main() -> None:
    """The `sluice-adapter-agent` command."""
    run_service("adapter-agent", AdapterAgentSettings, _load)


def _load() -> Build[AdapterAgentSettings]:
    from sluice_inference.adapter_agent.service import build

    return build


if __name__ == "__main__":
    main()
