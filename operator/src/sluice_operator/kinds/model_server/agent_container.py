"""The adapter agent's container.

A plain container beside vLLM and no native sidecar: one of those starts first, so that an agent that cannot start
would keep the base model from answering, too.
"""

from typing import Any, Final

from sluice_api.objects.model_server import ModelServerSpec
from sluice_api.objects.vllm import Vllm
from sluice_operator.cluster.quantities import quantity
from sluice_operator.kinds.model_server import layout
from sluice_operator.kinds.model_server.engine_container import (
    HARDENED,
    Part,
    model_path,
    resources,
    variables,
)

#: Of the volume, what adapters may take up: a pod that fills its volume is evicted.
_SHARE: Final = 0.9

#: The key of each kind of Secret for sources, by the setting that names its file.
SOURCES: Final = {
    "SLUICE_HUB_TOKEN_FILE": ("hugging_face", "token"),
    "SLUICE_S3_CREDENTIALS_FILE": ("s3", "credentials"),
    "SLUICE_REGISTRY_CREDENTIALS_FILE": ("registry", ".dockerconfigjson"),
    "SLUICE_HTTP_CREDENTIALS_FILE": ("http", "netrc"),
}


def container(spec: ModelServerSpec, vllm: Vllm, image: str) -> Part:
    """The container, but for what `podTemplate` says. It has no readiness probe: an agent that does not answer takes
    nothing from vLLM's requests."""
    health = {"grpc": {"port": layout.AGENT_PORT}}
    return {
        "name": layout.AGENT,
        "image": vllm.agent.image or image,
        "command": ["sluice-adapter-agent"],
        "env": _environment(spec, vllm),
        "ports": [
            {"name": "agent", "containerPort": layout.AGENT_PORT, "protocol": "TCP"},
            {"name": "agent-metrics", "containerPort": layout.AGENT_METRICS_PORT, "protocol": "TCP"},
        ],
        "volumeMounts": _mounts(vllm),
        "securityContext": HARDENED,
        "startupProbe": {**health, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 60},
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 3},
        "resources": resources(vllm.agent.resources, {}),
    }


def sources(vllm: Vllm) -> dict[str, tuple[str, str]]:
    """The Secrets for sources that there are, with their keys, by the setting that names their file."""
    named = {
        setting: (str(getattr(vllm.agent.source_secrets, field)), key)
        for setting, (field, key) in SOURCES.items()
    }
    return {setting: (secret, key) for setting, (secret, key) in named.items() if secret}


def _environment(spec: ModelServerSpec, vllm: Vllm) -> list[Part]:
    said: dict[str, Any] = {
        "SLUICE_LISTEN": f"0.0.0.0:{layout.AGENT_PORT}",
        "SLUICE_METRICS_LISTEN": f"0.0.0.0:{layout.AGENT_METRICS_PORT}",
        "SLUICE_TOKEN_FILE": f"{layout.TOKEN}/{layout.TOKEN_KEY}",
        "SLUICE_DATA_DIR": "/tmp",  # noqa: S108 - a volume of its own
        "SLUICE_ADAPTERS_DIR": layout.ADAPTERS,
        "SLUICE_DISK_BUDGET": _budget(vllm),
        "SLUICE_ENGINE_URL": f"http://127.0.0.1:{layout.ENGINE_PORT}",
        "SLUICE_BASE_MODELS": spec.base_model,
    }
    if vllm.lora is not None:
        said["SLUICE_MAX_LORA_RANK"] = vllm.lora.max_lora_rank
    if vllm.api_key_secret:
        said["SLUICE_ENGINE_API_KEY_FILE"] = f"{layout.ENGINE_KEY}/{layout.API_KEY_KEY}"
    if vllm.weights is not None:
        said["SLUICE_BASE_MODEL_DIR"] = model_path(vllm)
    if vllm.agent.claims:
        said["SLUICE_PVC_ROOT"] = layout.CLAIMS
    said |= {setting: f"{layout.SOURCES}/{secret}/{key}" for setting, (secret, key) in sources(vllm).items()}
    return [
        *({"name": name, "value": str(value)} for name, value in said.items()),
        *variables(vllm.agent.env),
    ]


def _budget(vllm: Vllm) -> int:
    return int(float(quantity(vllm.agent.volume_size)) * _SHARE)


def _mounts(vllm: Vllm) -> list[Part]:
    found: list[Part] = [
        {"name": "adapters", "mountPath": layout.ADAPTERS},
        {"name": "agent-tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of its own
        {"name": "agent-token", "mountPath": layout.TOKEN, "readOnly": True},
    ]
    if vllm.api_key_secret:
        found.append({"name": "engine-key", "mountPath": layout.ENGINE_KEY, "readOnly": True})
    if vllm.weights is not None:
        found.append({"name": "weights", "mountPath": layout.WEIGHTS, "readOnly": True})
    for number, claim in enumerate(vllm.agent.claims):
        found.append({"name": f"claim-{number}", "mountPath": f"{layout.CLAIMS}/{claim}", "readOnly": True})
    for number, secret in enumerate(source_names(vllm)):
        found.append(
            {"name": f"source-{number}", "mountPath": f"{layout.SOURCES}/{secret}", "readOnly": True}
        )
    return found


def source_names(vllm: Vllm) -> list[str]:
    """The names of the Secrets for sources, each once."""
    return sorted({secret for secret, _ in sources(vllm).values()})
