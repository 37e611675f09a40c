"""Puts the guardrail together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing

from sluice.guardrail.v1 import guardrail_pb2_grpc
from sluice_guardrail import vault_keys
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.classifying.builtin import BuiltInClassifier
from sluice_guardrail.domain.classifying.choosing import Classifiers
from sluice_guardrail.domain.classifying.memory import Memory
from sluice_guardrail.domain.embedding import MiniLmEmbedder
from sluice_guardrail.domain.model import Channel
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.vault import Vault
from sluice_guardrail.keeping import KeptPolicies
from sluice_guardrail.policies import Policies
from sluice_guardrail.servicer import GuardrailServicer, Threads
from sluice_guardrail.settings import GuardrailSettings
from sluice_guardrail.updating import PolicyUpdates, watch
from sluice_guardrail.verdict_store import VerdictStore
from sluice_guardrail.wasm.compiled_cache import CompiledCache
from sluice_guardrail.wasm.compiling import compile_apart
from sluice_guardrail.wasm.folder import ModulesFolder
from sluice_guardrail.wasm.loading import Loader
from sluice_guardrail.wasm.runtime import Runtime
from sluice_minilm.model import MiniLm
from sluice_servicekit.service import ServiceContext, Servicer

#: Rules hold the interpreter's lock, classifiers do not; a second thread keeps one long text from blocking all.
_THREADS = 2
#: Modules do not hold that lock, and slow ones must not keep waiting what asks none.
_MODULE_THREADS = 4


@asynccontextmanager
async def build(context: ServiceContext[GuardrailSettings]) -> AsyncIterator[list[Servicer]]:
    """Both gates, for the length of the block. The classifier is warm by then."""
    settings = context.settings
    keys = vault_keys.find(settings.vault_key_file, settings.secrets_dir, settings.data_dir)
    vault = Vault(keys, settings.vault_seconds)
    async with contextlib.AsyncExitStack() as stack:
        cache = CompiledCache(settings.data_dir / "compiled")
        runtime = stack.enter_context(closing(Runtime(cache, compile_apart)))
        store = stack.enter_context(closing(VerdictStore(settings.data_dir, settings.guard_remembered)))
        folder = ModulesFolder(settings.modules_dir, settings.data_dir / "modules")
        kept = KeptPolicies(settings.data_dir / "policies.json")
        rules, (embedder, built_in) = await asyncio.gather(
            asyncio.to_thread(all_rules), asyncio.to_thread(_models, settings)
        )
        parts = Parts(
            rules,
            embedder=embedder,
            classifiers=Classifiers(built_in, Memory(store=store)),
            modules=Loader(runtime, folder, keep_logs=settings.module_logs),
        )
        policies = Policies(parts, kept.read())

        def keep(in_force: Mapping[str, Policy]) -> None:
            kept.write(in_force)
            named = {digest for policy in in_force.values() for digest in policy.modules}
            folder.forget_all_but({digest.removeprefix("sha256:") for digest in named})

        updates = PolicyUpdates(policies, context.snapshots.report, keep)
        context.snapshots.on_change(updates.apply)
        threads = Threads(
            screening=stack.enter_context(ThreadPoolExecutor(_THREADS, "screening")),
            modules=stack.enter_context(ThreadPoolExecutor(_MODULE_THREADS, "modules")),
            ahead=stack.enter_context(ThreadPoolExecutor(1, "screening-ahead")),
            inline=built_in is None,
        )
        if settings.modules_dir is not None:
            watching = asyncio.create_task(watch(settings.modules_dir, updates.retry))
            stack.callback(watching.cancel)
        yield [
            Servicer(
                guardrail_pb2_grpc.add_GuardrailServiceServicer_to_server,
                GuardrailServicer(policies, vault, threads),
                "sluice.guardrail.v1.GuardrailService",
            )
        ]


def _models(settings: GuardrailSettings) -> tuple[MiniLmEmbedder, BuiltInClassifier | None]:
    """What reads with the built-in encoder; the classifier warmed up, since a first text takes longer."""
    if settings.guard_classifier == "off":
        return MiniLmEmbedder(), None
    model = MiniLm()
    classifier = BuiltInClassifier(model)
    for channel in Channel:
        classifier.scores(["How are you?"], channel)
    return MiniLmEmbedder(model), classifier
