"""What lies at the sources: good adapters unless it is said otherwise."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sluice_api.objects.lora_adapter import Source
from sluice_inference.adapter_agent.reasons import Reason


@dataclass(frozen=True, slots=True)
class Files:
    """An adapter's two files, as far as anybody asks."""

    digest: str
    config_digest: str
    rank: int = 8
    base_model: str = "tiny"
    target_modules: tuple[str, ...] = ("q_proj", "v_proj")
    size_bytes: int = 1 << 20
    wrong: Reason | None = None
    """What the checks find."""

    @classmethod
    def named(cls, name: str, **fields: object) -> Self:
        """Made up from a name: another name, other digests."""
        return cls(_digest(name.encode()), _digest(f"config of {name}".encode()), **fields)  # type: ignore[arg-type]

    @classmethod
    def read(cls, folder: Path, **fields: object) -> Self:
        """Of a folder that is there."""
        weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
        told = json.loads(config.read_bytes())
        given = {
            "rank": told["r"],
            "base_model": told["base_model_name_or_path"],
            "target_modules": tuple(told["target_modules"]),
            "size_bytes": weights.stat().st_size + config.stat().st_size,
            **fields,
        }
        return cls(_digest(weights.read_bytes()), _digest(config.read_bytes()), **given)  # type: ignore[arg-type]


@dataclass
class Catalogue:
    """By place, see `place`; may change at any time. Agents may share one."""

    files: dict[str, Files] = field(default_factory=dict)
    wrong: dict[str, Reason] = field(default_factory=dict)
    """Places where nothing can be had, or nothing that passes the checks."""

    def at(self, source: Source) -> Files | Reason:
        """What lies there; a good adapter of its own where nobody said anything."""
        where = place(source)
        return self.wrong.get(where) or self.files.get(where) or Files.named(_key(source))


def place(source: Source) -> str:
    """The source in scripts: a path, a URL, `bucket/key`, `claim/path`, `owner/name@revision`, an image."""
    if source.local:
        return source.local.path
    if source.http:
        return source.http.url
    if source.s3:
        return f"{source.s3.bucket}/{source.s3.key}"
    if source.pvc:
        return f"{source.pvc.claim_name}/{source.pvc.path}"
    if source.hugging_face:
        return f"{source.hugging_face.repo}@{source.hugging_face.revision}"
    assert source.oci
    return source.oci.image


def _key(source: Source) -> str:
    return source.model_dump_json(exclude_none=True)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
