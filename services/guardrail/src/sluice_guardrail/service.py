"""Puts the guardrail together."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from sluice.guardrail.v1 import guardrail_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_guardrail import vault_keys
from sluice_guardrail.domain.checks import Parts
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.vault import Vault
from sluice_guardrail.policies import Policies
from sluice_guardrail.servicer import GuardrailServicer
from sluice_guardrail.settings import GuardrailSettings
from sluice_servicekit.service import ServiceContext, Servicer

#: Screening holds the interpreter's lock most of the time; a second thread keeps one long text from blocking all.
_THREADS = 2


@asynccontextmanager
async def build(context: ServiceContext[GuardrailSettings]) -> AsyncIterator[list[Servicer]]:
    """Both gates, for the length of the block."""
    settings = context.settings
    keys = vault_keys.find(settings.vault_key_file, settings.secrets_dir, settings.data_dir)
    vault = Vault(keys, settings.vault_seconds)
    policies = Policies(Parts(all_rules()))

    async def apply(snapshot: Snapshot) -> None:
        policies.apply(snapshot)

    context.snapshots.on_change(apply)
    with ThreadPoolExecutor(_THREADS, "screening") as threads:
        yield [
            Servicer(
                guardrail_pb2_grpc.add_GuardrailServiceServicer_to_server,
                GuardrailServicer(policies, vault, threads),
                "sluice.guardrail.v1.GuardrailService",
            )
        ]
