"""Sluice's custom resource definitions on an API server."""

from pathlib import Path

from support.api_server import ApiServer

FOLDER = Path(__file__).parents[2] / "crds"


def install(server: ApiServer) -> None:
    """Applies all of them, and waits until they are served. Costs little where they are there already."""
    server.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(FOLDER))
    server.kubectl("wait", "--for=condition=Established", "--timeout=90s", "-f", str(FOLDER))
