"""What the operator can be told."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sluice_servicekit.settings import ServiceSettings


class OperatorSettings(ServiceSettings):
    """What every service can be told, and what only the operator can."""

    kubeconfig: str = ""
    """A kubeconfig file; when empty the pod's service account, and outside a cluster what `kubectl` takes."""
    kube_context: str = ""
    """The kubeconfig's context; its current one when empty."""
    namespaces: tuple[str, ...] = ()
    """The namespaces whose objects are looked after, as a JSON list; all of the cluster when empty."""
    own_namespace: str = ""
    """Where the operator keeps its Lease and the last good snapshot, and where gateway and inference run; the pod's own
    namespace when empty, `default` outside a cluster."""
    probe_listen: str = ""
    """Where `/healthz` and `/readyz` are served, `host:port`; off when empty."""
    leader_election: bool = False
    """Work only while holding the Lease, so that a standby may run beside; off for one process, as on a laptop."""
    lease_name: str = "sluice-operator"
    """The Lease's name."""
    lease_seconds: Annotated[int, Field(ge=2, le=300)] = 15
    """How long a Lease that nobody renews still counts; a standby takes over after that."""
    resync_seconds: Annotated[float, Field(ge=1, le=86400)] = 600.0
    """The longest time between two passes over an object of which nothing was heard, give or take a tenth."""
    backoff_base_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """The wait after a first failed pass; each further failure in a row doubles it."""
    backoff_cap_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """The longest wait after a failed pass."""
    concurrent_passes: Annotated[int, Field(ge=1, le=256)] = 16
    """How many objects are looked at at once."""
    api_connections: Annotated[int, Field(ge=4, le=256)] = 32
    """Connections to the API server for calls; watch streams have their own."""
    agent_image: str = "sluice-inference:0.1.0"
    """Of the adapter agent in the pods of a model server that names none."""
    agent_port: Annotated[int, Field(ge=1, le=65535)] = 9200
    """The port that the adapter agents of all pods listen on."""
    gateway_url: str = ""
    """The gateway's HTTP API, which tells what experiments have shown; they are not decided when empty."""
    gateway_key_file: Path | None = None
    """Holds an API key of an admin of the gateway."""
