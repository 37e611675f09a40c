"""Service accounts of a test's API server."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from support.api_server import ApiServer


@dataclass(frozen=True, slots=True)
class Account:
    """One that may nothing yet."""

    user: str
    """Its name in bindings."""
    server: ApiServer
    """The same server, as it sees it."""


def service_account(server: ApiServer, namespace: str, name: str, folder: Path) -> Account:
    """A new account, with a token as pods have it.

    Args:
        folder: Where its kubeconfig goes.
    """
    server.kubectl("create", "serviceaccount", name, "-n", namespace)
    token = server.kubectl("create", "token", name, "-n", namespace).strip()
    config = json.loads(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / f"kubeconfig-{name}"
    path.write_text(json.dumps(config))
    return Account(f"system:serviceaccount:{namespace}:{name}", replace(server, kubeconfig=path))
