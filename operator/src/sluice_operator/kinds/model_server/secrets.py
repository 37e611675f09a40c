"""The Secrets that a spec names: which, and what changes with them. Pure."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping

from sluice_api.objects.vllm import Vllm
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.kinds.model_server import agent_container, layout
from sluice_operator.kinds.model_server.context import Secrets


def named(vllm: Vllm) -> tuple[tuple[str, str, str], ...]:
    """Secret, key and the field that names it, of all that pods need to start."""
    return tuple(dict.fromkeys(_named(vllm)))


def resolved(vllm: Vllm, found: Mapping[str, Manifest | None]) -> Secrets:
    """What is missing, and a digest of what is there.

    Everybody can read the digest who sees pods. So it is keyed with the Secrets' uids, which only those know who may
    read them: short values cannot be tried.

    Args:
        found: By name.
    """
    missing: list[str] = []
    whole = hashlib.sha256()
    for secret, key, field in named(vllm):
        manifest = found.get(secret)
        value = ((manifest or {}).get("data") or {}).get(key)
        if manifest is None:
            missing.append(f"there is no Secret {secret!r}, which {field} names")
        elif value is None:
            missing.append(f"Secret {secret!r}, which {field} names, lacks the key {key!r}")
        else:
            uid = str(manifest["metadata"]["uid"])
            whole.update(hmac.digest(uid.encode(), f"{secret}\0{key}\0{value}".encode(), "sha256"))
    if missing or not named(vllm):
        return Secrets("", tuple(missing))
    return Secrets(whole.hexdigest()[:32])


def _named(vllm: Vllm) -> Iterator[tuple[str, str, str]]:
    if vllm.api_key_secret:
        yield vllm.api_key_secret, layout.API_KEY_KEY, "spec.vllm.apiKeySecret"
    for each in vllm.env:
        if each.value_from is not None:
            reference = each.value_from.secret_key_ref
            yield reference.name, reference.key, f"spec.vllm.env {each.name}"
    if vllm.lora is None:
        return
    for each in vllm.agent.env:
        if each.value_from is not None:
            reference = each.value_from.secret_key_ref
            yield reference.name, reference.key, f"spec.vllm.agent.env {each.name}"
    for secret, key in agent_container.sources(vllm).values():
        yield secret, key, "spec.vllm.agent.sourceSecrets"
