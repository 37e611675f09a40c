"""The volumes of a pod. Pure."""

from typing import Any, Final

from sluice_api.objects.vllm import Vllm
from sluice_operator.kinds.model_server import layout
from sluice_operator.kinds.model_server.agent_container import source_names

Part = dict[str, Any]

#: Files of Secrets: their owner and group may read them, which is what the agent insists on.
_MODE: Final = 0o440


def volumes(vllm: Vllm, agent_secret: str) -> list[Part]:
    """Those that the containers mount."""
    found: list[Part] = [
        _cache(vllm),
        {
            "name": "shared-memory",
            "emptyDir": {"medium": "Memory", "sizeLimit": vllm.shared_memory},
        },
        {"name": "tmp", "emptyDir": {}},
    ]
    if vllm.weights is not None:
        found.append(_claim("weights", vllm.weights.claim_name, read_only=True))
    if vllm.lora is None:
        return found
    found += [
        {"name": "adapters", "emptyDir": {"sizeLimit": vllm.agent.volume_size}},
        {"name": "agent-tmp", "emptyDir": {}},
        _secret("agent-token", agent_secret, layout.TOKEN_KEY),
    ]
    if vllm.api_key_secret:
        found.append(_secret("engine-key", vllm.api_key_secret, layout.API_KEY_KEY))
    found += [
        _claim(f"claim-{number}", claim, read_only=True) for number, claim in enumerate(vllm.agent.claims)
    ]
    found += [_secret(f"source-{number}", name) for number, name in enumerate(source_names(vllm))]
    return found


def _cache(vllm: Vllm) -> Part:
    if vllm.cache.claim_name is not None:
        return _claim("cache", vllm.cache.claim_name)
    limit = vllm.cache.size_limit
    return {"name": "cache", "emptyDir": {} if limit is None else {"sizeLimit": limit}}


def _claim(name: str, claim: str, *, read_only: bool = False) -> Part:
    return {
        "name": name,
        "persistentVolumeClaim": {"claimName": claim, **({"readOnly": True} if read_only else {})},
    }


def _secret(name: str, secret: str, key: str = "") -> Part:
    items = {"items": [{"key": key, "path": key}]} if key else {}
    return {"name": name, "secret": {"secretName": secret, "defaultMode": _MODE, **items}}
