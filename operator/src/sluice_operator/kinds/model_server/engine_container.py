"""vLLM's container. Pure."""

import math
from collections.abc import Sequence
from typing import Any, Final

from sluice_api.objects.model_server import ModelServerSpec
from sluice_api.objects.pod_parts import Variable
from sluice_api.objects.quantities import Resources
from sluice_api.objects.vllm import Vllm, argument_name
from sluice_operator.kinds.model_server import layout

Part = dict[str, Any]

#: The ranks that vLLM's `--max-lora-rank` takes.
_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
_STARTUP_PERIOD: Final = 10
_SPLIT: Final = (
    "--tensor-parallel-size",
    "-tp",
    "--pipeline-parallel-size",
    "-pp",
    "--data-parallel-size",
    "-dp",
)

#: Of both containers: neither gains rights, and neither writes but into its volumes.
HARDENED: Final[Part] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def container(spec: ModelServerSpec, vllm: Vllm) -> Part:
    """The container, but for what `podTemplate` says."""
    found: Part = {
        "name": layout.ENGINE,
        "image": vllm.image,
        # The module and not the image's own command: `vllm serve` takes its model otherwise.
        "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"],
        "args": arguments(spec, vllm),
        "env": _environment(vllm),
        "ports": [{"name": "http", "containerPort": layout.ENGINE_PORT, "protocol": "TCP"}],
        "volumeMounts": _mounts(vllm),
        "securityContext": HARDENED,
        **_probes(vllm),
    }
    limits = {vllm.gpu_resource_name: str(vllm.gpu)} if vllm.gpu else {}
    if amounts := resources(vllm.resources, limits):
        found["resources"] = amounts
    if vllm.drain:
        # vLLM gives up what it is answering when it is told to end; so it is told late. The Service and inference
        # send nothing new meanwhile.
        found["lifecycle"] = {"preStop": {"sleep": {"seconds": math.ceil(vllm.drain)}}}
    return found


def model_path(vllm: Vllm) -> str:
    """Where the pods find the model's folder; empty where it comes from the hub."""
    if vllm.weights is None:
        return ""
    return f"{layout.WEIGHTS}/{vllm.weights.path}".rstrip("/")


def arguments(spec: ModelServerSpec, vllm: Vllm) -> list[str]:
    """Of vLLM's server."""
    found = [
        f"--model={model_path(vllm) or spec.base_model}",
        f"--served-model-name={spec.base_model}",
        "--host=0.0.0.0",
        f"--port={layout.ENGINE_PORT}",
    ]
    if vllm.max_model_len is not None:
        found.append(f"--max-model-len={vllm.max_model_len}")
    if vllm.gpu > 1 and not any(argument_name(each) in _SPLIT for each in vllm.args):
        found.append(f"--tensor-parallel-size={vllm.gpu}")
    if (lora := vllm.lora) is not None:
        found += [
            "--enable-lora",
            f"--max-loras={lora.max_loras}",
            f"--max-cpu-loras={lora.max_cpu_loras}",
            f"--max-lora-rank={next(rank for rank in _RANKS if rank >= lora.max_lora_rank)}",
        ]
    return [*found, *vllm.args]


def variables(env: Sequence[Variable]) -> list[Part]:
    """As a pod's spec has them."""
    return [
        each.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_unsaid(each)) for each in env
    ]


def resources(given: Resources, limits: Part) -> Part:
    """With further limits; empty parts left out."""
    amounts = {"requests": dict(given.requests), "limits": {**given.limits, **limits}}
    return {name: part for name, part in amounts.items() if part}


def _unsaid(variable: Variable) -> set[str]:
    return {"value"} if not variable.value else set()  # the API server keeps no empty value


def _environment(vllm: Vllm) -> list[Part]:
    home = layout.CACHE
    said = {
        "HOME": home,
        "HF_HOME": f"{home}/huggingface",
        "XDG_CACHE_HOME": f"{home}/xdg",
        "VLLM_CACHE_ROOT": f"{home}/vllm",
        "TRITON_CACHE_DIR": f"{home}/triton",
        "TORCHINDUCTOR_CACHE_DIR": f"{home}/inductor",
        # PyTorch asks for the user's name, which is in no file of the image.
        "USER": "vllm",
        "VLLM_NO_USAGE_STATS": "1",
    }
    own = {each.name for each in vllm.env}
    found: list[Part] = [{"name": name, "value": value} for name, value in said.items() if name not in own]
    if vllm.lora is not None:
        found.append({"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "True"})
    if vllm.api_key_secret:
        key = {"name": vllm.api_key_secret, "key": layout.API_KEY_KEY}
        found.append({"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": key}})
    return [*found, *variables(vllm.env)]


def _mounts(vllm: Vllm) -> list[Part]:
    found: list[Part] = [
        {"name": "cache", "mountPath": layout.CACHE},
        {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 - a volume of its own
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of its own
    ]
    if vllm.lora is not None:
        found.append({"name": "adapters", "mountPath": layout.ADAPTERS, "readOnly": True})
    if vllm.weights is not None:
        found.append({"name": "weights", "mountPath": layout.WEIGHTS, "readOnly": True})
    return found


def _probes(vllm: Vllm) -> Part:
    """vLLM opens its port once the model is loaded, and `/health` fails once its engine is dead. So the start's probe
    waits, long, until the port opens; a process that dies meanwhile is started anew by the kubelet without any probe.
    Afterwards half a minute without health is an end."""
    health: Part = {"httpGet": {"path": "/health", "port": "http"}}
    return {
        "startupProbe": {
            **health,
            "periodSeconds": _STARTUP_PERIOD,
            "timeoutSeconds": 5,
            "failureThreshold": math.ceil(vllm.startup_timeout / _STARTUP_PERIOD),
        },
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 3},
        "readinessProbe": {**health, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
    }
