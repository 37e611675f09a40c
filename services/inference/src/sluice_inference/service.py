"""Inference, assembled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sluice.inference.v1 import inference_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_inference.engines.registry import Engines
from sluice_inference.servicer import InferenceServicer
from sluice_servicekit.service import ServiceContext, Servicer
from sluice_servicekit.settings import ServiceSettings


@asynccontextmanager
async def build(context: ServiceContext[ServiceSettings]) -> AsyncIterator[list[Servicer]]:
    """The engines, for the length of the block."""
    engines = Engines(context.settings.secrets_dir)

    async def apply(snapshot: Snapshot) -> None:
        await engines.apply(snapshot.model_servers, snapshot.endpoints)

    context.snapshots.on_change(apply)
    try:
        yield [
            Servicer(
                inference_pb2_grpc.add_InferenceServiceServicer_to_server,
                InferenceServicer(engines),
                "sluice.inference.v1.InferenceService",
            )
        ]
    finally:
        await engines.close()
