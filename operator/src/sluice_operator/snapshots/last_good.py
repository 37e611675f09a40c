"""The specs that were last in force, kept in ConfigMaps of the operator's namespace, so that a restart loses none.

An index named `sluice-snapshot` names the chunks; a chunk's name has the content's digest in it. An index is written
after its chunks and before older ones are deleted, so it always names what is there and whole.
"""

import asyncio
import base64
import gzip
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sluice_api.objects.registry import KINDS
from sluice_api.tolerant import Good, Key
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.cluster.resources import CONFIG_MAPS
from sluice_operator.reconciling.labels import MANAGED_BY, OPERATOR

_LOG = logging.getLogger(__name__)

INDEX = "sluice-snapshot"

#: Bytes of one chunk; as base64 it stays under the API server's 1 MiB.
CHUNK_BYTES = 700_000

_PART = "sluice.dev/part-of-snapshot"
_DATA = "objects.json.gz"


class LastGood:
    """Reads at start, and writes what has changed."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._written = ""

    async def read(self) -> Mapping[Key, Good]:
        """What was last in force; nothing where nothing was ever written, or none of it can be read any more.

        Raises:
            ServiceError: of `Cluster`; whoever starts without it may lose what only it holds.
        """
        index = await self._cluster.get(CONFIG_MAPS, self._namespace, INDEX)
        if index is None:
            return {}
        digest, names = _indexed(index)
        chunks = [await self._cluster.get(CONFIG_MAPS, self._namespace, name) for name in names]
        try:
            content = b"".join(_data(chunk) for chunk in chunks if chunk is not None)
            found = decode(content) if digest_of(content) == digest else None
        except (ValueError, KeyError, TypeError, OSError):  # of another version, or edited
            found = None
        if found is None:
            _LOG.error("the last good objects in ConfigMap %s are damaged; starting without them", INDEX)
            return {}
        self._written = digest
        return found

    async def write(self, good: Mapping[Key, Good]) -> bool:
        """Writes what is in force, unless that is what stands there; true where it did.

        Raises:
            ServiceError: of `Cluster`; what stood there before still does.
        """
        # Compressing a thousand objects takes a while, and comes after each compilation.
        content = await asyncio.to_thread(encode, good)
        digest = digest_of(content)
        if digest == self._written:
            return False
        chunks = dict(_chunked(content, digest))
        for name, data in chunks.items():
            await self._apply(name, {"binaryData": {_DATA: base64.b64encode(data).decode()}})
        await self._apply(INDEX, {"data": {"digest": digest, "chunks": "\n".join(chunks)}})
        self._written = digest
        for old in await self._cluster.list(CONFIG_MAPS, self._namespace, {_PART: "chunk"}):
            if old["metadata"]["name"] not in chunks:
                await self._cluster.delete(CONFIG_MAPS, self._namespace, old["metadata"]["name"])
        return True

    async def _apply(self, name: str, data: Mapping[str, Any]) -> None:
        part = "index" if name == INDEX else "chunk"
        metadata = {
            "name": name,
            "namespace": self._namespace,
            "labels": {MANAGED_BY: OPERATOR, "app.kubernetes.io/part-of": "sluice", _PART: part},
        }
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **data}
        await self._cluster.apply(CONFIG_MAPS, manifest)


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Key
    good: Good

    def as_json(self) -> Mapping[str, Any]:
        spec = self.good.object.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {
            **self.key._asdict(),
            "generation": self.good.generation,
            "createdAt": self.good.created_at,
            "apiVersion": self.good.object.api_version,
            "spec": spec,
        }


def encode(good: Mapping[Key, Good]) -> bytes:
    """The same bytes for the same objects."""
    entries = [_Entry(key, each).as_json() for key, each in sorted(good.items())]
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def decode(content: bytes) -> Mapping[Key, Good]:
    """What `encode` has written; what this version does not know or take any more is passed over, and logged."""
    found: dict[Key, Good] = {}
    for entry in json.loads(gzip.decompress(content)):
        key = Key(entry["kind"], entry["namespace"], entry["name"])
        try:
            item = KINDS[key.kind].model_validate(
                {
                    "apiVersion": entry["apiVersion"],
                    "kind": key.kind,
                    "metadata": {"name": key.name, "namespace": key.namespace},
                    "spec": entry["spec"],
                }
            )
        except (KeyError, ValidationError) as error:
            _LOG.warning("the last good spec of %s %s/%s is of no use any more: %s", *key, error)
            continue
        found[key] = Good(item, int(entry["generation"]), str(entry["createdAt"]))
    return found


def digest_of(content: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


def _chunked(content: bytes, digest: str) -> Iterator[tuple[str, bytes]]:
    for number, start in enumerate(range(0, len(content), CHUNK_BYTES)):
        yield f"{INDEX}-{digest[:16]}-{number}", content[start : start + CHUNK_BYTES]


def _indexed(index: Manifest) -> tuple[str, Sequence[str]]:
    data = index.get("data") or {}
    return str(data.get("digest") or ""), str(data.get("chunks") or "").split()


def _data(chunk: Manifest) -> bytes:
    return base64.b64decode((chunk.get("binaryData") or {}).get(_DATA) or "")
