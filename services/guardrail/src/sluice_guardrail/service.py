"""Puts the guardrail together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from sluice.guardrail.v1 import guardrail_pb2_grpc
from sluice_guardrail import vault_keys
from sluice_guardrail.domain.checks import Parts
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.vault import Vault
from sluice_guardrail.policies import Policies
from sluice_guardrail.servicer import GuardrailServicer
from sluice_guardrail.settings import GuardrailSettings
from sluice_guardrail.updating import PolicyUpdates, watch
from sluice_guardrail.wasm.compiled_cache import CompiledCache
from sluice_guardrail.wasm.compiling import compile_apart
from sluice_guardrail.wasm.folder import ModulesFolder
from sluice_guardrail.wasm.loading import Loader
from sluice_guardrail.wasm.runtime import Runtime
from sluice_servicekit.service import ServiceContext, Servicer

#: Screening holds the interpreter's lock most of the time; a second thread keeps one long text from blocking all.
_THREADS = 2
#: Modules do not hold that lock, and slow ones must not keep waiting what asks none.
_MODULE_THREADS = 4


@asynccontextmanager
async def build(context: ServiceContext[GuardrailSettings]) -> AsyncIterator[list[Servicer]]:
    """Both gates, for the length of the block."""
    settings = context.settings
    keys = vault_keys.find(settings.vault_key_file, settings.secrets_dir, settings.data_dir)
    vault = Vault(keys, settings.vault_seconds)
    async with contextlib.AsyncExitStack() as stack:
        cache = CompiledCache(settings.data_dir / "compiled")
        runtime = stack.enter_context(contextlib.closing(Runtime(cache, compile_apart)))
        modules = Loader(runtime, ModulesFolder(settings.modules_dir), keep_logs=settings.module_logs)
        policies = Policies(Parts(all_rules(), modules=modules))
        updates = PolicyUpdates(policies, context.snapshots.report)
        context.snapshots.on_change(updates.apply)
        threads = stack.enter_context(ThreadPoolExecutor(_THREADS, "screening"))
        module_threads = stack.enter_context(ThreadPoolExecutor(_MODULE_THREADS, "modules"))
        if settings.modules_dir is not None:
            watching = asyncio.create_task(watch(settings.modules_dir, updates.retry))
            stack.callback(watching.cancel)
        yield [
            Servicer(
                guardrail_pb2_grpc.add_GuardrailServiceServicer_to_server,
                GuardrailServicer(policies, vault, threads, module_threads),
                "sluice.guardrail.v1.GuardrailService",
            )
        ]
