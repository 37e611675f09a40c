"""Where things are in a pod: containers, ports, folders, volumes. What others of Sluice and `podTemplate` go by."""

from typing import Final

from sluice_operator.kinds.model_server import names
from sluice_operator.reconciling.labels import MODEL_SERVER, OWNER_UID

ENGINE: Final = "vllm"
"""vLLM's container."""
AGENT: Final = "adapter-agent"
"""The adapter agent's container."""

ENGINE_PORT: Final = 8000
AGENT_PORT: Final = 9200
AGENT_METRICS_PORT: Final = 9201

USER: Final = 65532
"""That both containers run as: it belongs to nobody."""

ADAPTERS: Final = "/adapters"
"""Written by the agent, read by vLLM."""
CACHE: Final = "/cache"
WEIGHTS: Final = "/models"
CLAIMS: Final = "/claims"
"""Has a folder for each claim, by its name."""
TOKEN: Final = "/etc/sluice/agent"  # noqa: S105 - a folder
ENGINE_KEY: Final = "/etc/sluice/engine"
SOURCES: Final = "/etc/sluice/sources"

TOKEN_KEY: Final = "token"  # noqa: S105 - a key
API_KEY_KEY: Final = "api-key"

SECRETS_DIGEST: Final = "sluice.dev/secrets-digest"
"""Annotation of pods: changes with the Secrets that they read at their start."""


def selector(server: str, uid: str) -> dict[str, str]:
    """The labels by which a Deployment knows its pods."""
    return {MODEL_SERVER: names.label(server), OWNER_UID: uid}
