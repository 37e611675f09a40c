"""Puts the guardrail together."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing

from sluice.guardrail.v1 import guardrail_pb2_grpc
from sluice_api.snapshot import Snapshot
from sluice_guardrail.domain.checks import Parts
from sluice_guardrail.domain.classifying.choosing import Classifiers
from sluice_guardrail.domain.classifying.classifier import Classifier
from sluice_guardrail.domain.classifying.memory import Memory
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.policies import Policies
from sluice_guardrail.servicer import GuardrailServicer, Threads
from sluice_guardrail.settings import GuardrailSettings
from sluice_guardrail.verdict_store import VerdictStore
from sluice_servicekit.service import ServiceContext, Servicer

#: Rules hold the interpreter's lock, classifiers do not; a second thread keeps one long text from blocking all.
_THREADS = 2
#: Characters that rules screen faster than a thread is woken.
_INLINE = 2_000


@asynccontextmanager
async def build(context: ServiceContext[GuardrailSettings]) -> AsyncIterator[list[Servicer]]:
    """Both gates, for the length of the block. They are ready when the classifier is warm."""
    settings = context.settings
    rules, built_in = await asyncio.gather(
        asyncio.to_thread(all_rules), asyncio.to_thread(_built_in, settings)
    )
    with (
        closing(VerdictStore(settings.data_dir, settings.guard_remembered)) as store,
        ThreadPoolExecutor(_THREADS, "screening") as screening,
        ThreadPoolExecutor(1, "screening-ahead") as ahead,
    ):
        policies = Policies(Parts(rules, classifiers=Classifiers(built_in, Memory(store=store))))

        async def apply(snapshot: Snapshot) -> None:
            await asyncio.to_thread(policies.apply, snapshot)  # it may load classifiers

        context.snapshots.on_change(apply)
        threads = Threads(screening, ahead, inline=_INLINE if built_in is None else 0)
        yield [
            Servicer(
                guardrail_pb2_grpc.add_GuardrailServiceServicer_to_server,
                GuardrailServicer(policies, threads),
                "sluice.guardrail.v1.GuardrailService",
            )
        ]


def _built_in(settings: GuardrailSettings) -> Classifier | None:
    return None
