"""Runs the gateway: HTTP and gRPC over one set of runs and one journal."""

from sluice_gateway.settings import GatewaySettings
from sluice_servicekit.service import Build, run_service


def main() -> None:
    """The `sluice-gateway` command."""
    run_service("gateway", GatewaySettings, _load)


def _load() -> Build[GatewaySettings]:
    from sluice_gateway.service import build

    return build


if __name__ == "__main__":
    main()
