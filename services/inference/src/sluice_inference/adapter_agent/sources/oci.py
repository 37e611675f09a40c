"""Artifacts in a registry: each layer is one of the two files, or an archive of them, as of an image."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import archives, remote
from sluice_inference.adapter_agent.sources.references import Reference, is_digest
from sluice_inference.adapter_agent.sources.registry import Registry
from sluice_inference.adapter_agent.sources.remote import Remote
from sluice_inference.adapter_agent.sources.taking import check_both, take_archive

_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ACCEPT: Final = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        *_INDEXES,
    )
)
#: The name of the file that a layer is (https://github.com/opencontainers/image-spec/blob/main/annotations.md).
_TITLE: Final = "org.opencontainers.image.title"
_MAX_LAYERS: Final = 128
_TARS: Final = ("tar", "tar+gzip", "tar.gzip", "tar.gz")


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of an artifact."""

    digest: str
    kind: str
    title: str

    @classmethod
    def parse(cls, found: Any) -> Self:
        """A layer as a manifest describes it.

        Raises:
            ServiceError: it does not.
        """
        annotations = found.get("annotations") or {} if isinstance(found, dict) else None
        if not isinstance(annotations, dict) or not is_digest(found.get("digest")):
            raise failure(Reason.SOURCE_REFUSED, "the artifact's manifest describes a layer that is none")
        title = str(annotations.get(_TITLE) or "").rpartition("/")[2]
        return cls(found["digest"], str(found.get("mediaType")), title)

    @property
    def is_archive(self) -> bool:
        """It holds files, and is none itself."""
        return self.kind.endswith(_TARS)


async def fetch(
    image: str, remote_: Remote, credentials_file: Path | None, insecure: Collection[str], sink: Sink
) -> str:
    """Takes an adapter's two files out of an artifact; those of a later layer are in place of an earlier one's.

    Returns:
        `registry/repository@digest` of the manifest.

    Raises:
        ServiceError: there is none to be had, or a digest is not that of what came (`DIGEST_MISMATCH`).
    """
    reference = Reference.parse(image)
    registry = Registry(reference, remote_, credentials_file, insecure)
    manifest, digest = await _manifest(registry, reference.reference)
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not 0 < len(layers) <= _MAX_LAYERS:
        raise failure(Reason.SOURCE_REFUSED, f"{image} has no layers, or more than {_MAX_LAYERS}")
    found: set[str] = set()
    titles = set()
    for layer in map(Layer.parse, layers):
        titles.add(layer.title)
        found |= await _take(registry, layer, sink)
    if files.WEIGHTS not in found and titles & files.PICKLES:
        raise archives.pickled()
    check_both(frozenset(found), image)
    return f"{reference.registry}/{reference.repository}@{digest}"


async def _manifest(registry: Registry, reference: str) -> tuple[Mapping[str, Any], str]:
    """The manifest, of an index its first: an adapter is the same on every platform."""
    for _ in range(2):
        async with registry.get(f"manifests/{reference}", _ACCEPT) as response:
            content = await remote.body(response)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if is_digest(reference) and digest != reference:
            raise _mismatch("the manifest", reference, digest)
        manifest = remote.parsed(content, "the registry")
        if not isinstance(manifest, dict):
            break
        listed = manifest.get("manifests")
        if not isinstance(listed, list):
            return manifest, digest
        first = listed[0] if listed else None
        if not isinstance(first, dict) or not is_digest(first.get("digest")):
            break
        reference = first["digest"]
    raise failure(Reason.SOURCE_REFUSED, "the registry gives no manifest of an artifact")


async def _take(registry: Registry, layer: Layer, sink: Sink) -> frozenset[str]:
    """The adapter's files that are in a layer; a layer that can have none is not asked for."""
    if layer.is_archive:
        async with registry.get(f"blobs/{layer.digest}") as response:
            found, digest = await take_archive(response, sink)
    elif layer.title in files.BOTH:
        async with registry.get(f"blobs/{layer.digest}") as response, sink.file(layer.title) as writer:
            await remote.pour(response, sink, writer)
        found, digest = frozenset({layer.title}), writer.digest
    else:
        return frozenset()
    if digest != layer.digest:
        raise _mismatch("a layer", layer.digest, digest)
    return found


def _mismatch(what: str, expected: str, digest: str) -> Exception:
    return failure(Reason.DIGEST_MISMATCH, f"{what} should be {expected} and is {digest}")
