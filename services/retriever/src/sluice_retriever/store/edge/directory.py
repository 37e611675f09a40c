"""Opens a shard's directory: made whole or not at all, and patient with the lock of a dying owner."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import qdrant_edge as edge
from qdrant_client import models

from sluice_retriever.store.schema import INDEXED, Payload

#: Seconds to wait for the lock of a worker that has just died.
_LOCK_PATIENCE = 5.0

_KINDS = {
    models.PayloadSchemaType.KEYWORD: edge.PayloadSchemaType.Keyword,
    models.PayloadSchemaType.INTEGER: edge.PayloadSchemaType.Integer,
    models.PayloadSchemaType.FLOAT: edge.PayloadSchemaType.Float,
    models.PayloadSchemaType.DATETIME: edge.PayloadSchemaType.Datetime,
    models.PayloadSchemaType.GEO: edge.PayloadSchemaType.Geo,
    models.PayloadSchemaType.TEXT: edge.PayloadSchemaType.Text,
}


def open_shard(
    directory: Path, config: edge.EdgeConfig, indexes: Mapping[str, models.PayloadSchemaType] | None = None
) -> edge.EdgeShard:
    """Opens the shard below `directory`, made first where there is none, with indexes of these payload fields."""
    path = directory / "shard"
    if not path.exists():
        unfinished = directory / "shard.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _create(unfinished, config)
        unfinished.rename(path)
    shard = _load(path, config)
    known = shard.info().payload_schema
    for field, kind in (indexes or {}).items():
        if field not in known:
            shard.update(edge.UpdateOperation.create_field_index(field, _KINDS[kind]))
    return shard


def _load(path: Path, config: edge.EdgeConfig) -> edge.EdgeShard:
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            return edge.EdgeShard.load(str(path), config)
        except Exception as error:
            if "WouldBlock" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _create(directory: Path, config: edge.EdgeConfig) -> None:
    directory.mkdir(parents=True)
    shard = edge.EdgeShard.create(str(directory), config)
    tenant = edge.KeywordIndexParams(is_tenant=True)
    shard.update(edge.UpdateOperation.create_field_index(Payload.TENANT, tenant))
    for field in INDEXED:
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    # Without it every search would read the payload of all a tenant's points.
    shard.update(edge.UpdateOperation.create_field_index(Payload.EXPIRES, edge.PayloadSchemaType.Float))
    shard.flush()
    shard.close()
