"""The adapter agent, assembled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ThreadedResolver

from sluice.adapters.v1 import adapters_pb2_grpc
from sluice_inference.adapter_agent.agent import Agent
from sluice_inference.adapter_agent.callers import Callers
from sluice_inference.adapter_agent.counting import USED_BYTES
from sluice_inference.adapter_agent.engine import Engine
from sluice_inference.adapter_agent.resolving import Bounds, Checking, Resolving
from sluice_inference.adapter_agent.servicer import AdapterAgentServicer
from sluice_inference.adapter_agent.settings import AdapterAgentSettings, listed
from sluice_inference.adapter_agent.sources import credentials
from sluice_inference.adapter_agent.sources.all_sources import Sources
from sluice_inference.adapter_agent.sources.remote import Remote
from sluice_inference.adapter_agent.store import Store
from sluice_servicekit.service import ServiceContext, Servicer


@asynccontextmanager
async def build(context: ServiceContext[AdapterAgentSettings]) -> AsyncIterator[list[Servicer]]:
    """The agent, for the length of the block."""
    settings = context.settings
    callers = Callers(settings.token_file, settings.listen)
    engine = Engine(
        settings.engine_url,
        lambda: credentials.token(settings.engine_api_key_file),
        settings.engine_load_seconds,
    )

    async def in_use() -> frozenset[str]:
        paths = (await engine.models()).adapters.values()
        return frozenset(path.rstrip("/").rpartition("/")[2] for path in paths)

    store = Store(settings.adapters_dir, settings.disk_budget, settings.keep_seconds, in_use)
    USED_BYTES.set_function(lambda: store.used)
    resolving = Resolving(
        _sources(settings),
        store,
        Checking(settings.max_lora_rank, listed(settings.base_models), settings.base_model_dir),
        Bounds(settings.max_adapter, settings.fetch_seconds, settings.fetch_concurrency),
    )
    folder = settings.engine_adapters_dir or settings.adapters_dir.absolute()
    agent = Agent(store, resolving, engine, folder)
    try:
        yield [
            Servicer(
                adapters_pb2_grpc.add_AdapterAgentServiceServicer_to_server,
                AdapterAgentServicer(agent, callers),
                "sluice.adapters.v1.AdapterAgentService",
            )
        ]
    finally:
        await resolving.close()
        await engine.close()


def _sources(settings: AdapterAgentSettings) -> Sources:
    return Sources(
        Remote(settings.policy, ThreadedResolver()),
        settings.roots,
        settings.pvc_root,
        settings.hub_url,
        settings.hub_token_file,
        settings.http_credentials_file,
        settings.s3_credentials_file,
        settings.s3_region,
        settings.registry_credentials_file,
        listed(settings.insecure_registries),
    )
