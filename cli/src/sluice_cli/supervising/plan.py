"""Which processes run, and what each is told. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice_cli.supervising.child import ChildSpec
from sluice_cli.supervising.layout import Layout

SERVICES = ("guardrail", "retriever", "reranker", "inference")
GATEWAY = "gateway"

_MODULES = "SLUICE_MODULES_DIR"


@dataclass(frozen=True)
class Wiring:
    """Addresses, and the socket that the gateway serves HTTP on."""

    services: Mapping[str, str]
    """gRPC address of each service and of the gateway."""
    metrics: Mapping[str, str]
    snapshot: str
    http_fd: int


def plan(
    layout: Layout,
    wiring: Wiring,
    environment: Mapping[str, str],
    api_keys: Path | None,
    traces: str,
    modules: Path | None = None,
) -> list[ChildSpec]:
    """The processes, services first. `environment` is passed on, so that any setting can be given there.

    Args:
        modules: The folder of the guardrail's modules, where the environment names none.
    """

    def child(name: str, more: Mapping[str, str], *fds: int) -> ChildSpec:
        own = {
            "SLUICE_LISTEN": wiring.services[name],
            "SLUICE_METRICS_LISTEN": wiring.metrics[name],
            "SLUICE_SNAPSHOT_ADDRESS": wiring.snapshot,
            "SLUICE_DATA_DIR": str(layout.of(name)),
            **({"SLUICE_TRACES": traces} if traces else {}),
            **more,
        }
        return ChildSpec(
            name=name,
            module=f"sluice_{name}",
            environment={**environment, **own},
            log=layout.log(name),
            address=wiring.services[name],
            pass_fds=fds,
        )

    gateway = {f"SLUICE_{name.upper()}_ADDRESS": wiring.services[name] for name in SERVICES}
    gateway["SLUICE_HTTP_LISTEN"] = f"fd:{wiring.http_fd}"
    if api_keys is not None:
        gateway["SLUICE_API_KEYS_FILE"] = str(api_keys.absolute())
    own_modules = modules is not None and _MODULES not in environment
    more = {"guardrail": {_MODULES: str(modules)} if own_modules else {}}
    return [*(child(name, more.get(name, {})) for name in SERVICES), child(GATEWAY, gateway, wiring.http_fd)]
