"""Objects into the runtime snapshot: a pure function, whose result does not depend on the objects' order."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sluice_api import adapters as lora
from sluice_api import endpoints, experiments
from sluice_api.errors import CompileError, Problem
from sluice_api.loading import LoadedObject
from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.base import Model, SluiceObject
from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.objects.knowledge_base import KnowledgeBase
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline, PipelineSpec
from sluice_api.objects.tenant_shard import TenantShard
from sluice_api.snapshot import CompiledPipeline, CompiledPolicy, Snapshot, canonical_json

T = TypeVar("T", bound=SluiceObject)

#: Names in one message; a cluster may have thousands.
_LISTED = 20

_REWRITE_SERVER = "spec.steps.rewrite.modelServerRef"


@dataclass(frozen=True)
class Compilation:
    """A snapshot, and what of the objects has no effect in it."""

    snapshot: Snapshot
    warnings: tuple[Problem, ...]


def compile_objects(loaded: Sequence[LoadedObject]) -> Compilation:
    """Compiles valid objects.

    Raises:
        CompileError: references do not resolve, or names clash; with every problem found.
    """
    ordered = sorted(loaded, key=lambda item: (item.label, item.object.metadata.namespace))
    problems = [*same_names(ordered), *misfits(ordered), *clashes(ordered)]
    if problems:
        raise CompileError(problems)
    warnings = [*_without_effect(ordered), *experiments.idle(ordered, _named(ordered, ModelServer))]
    return Compilation(snapshot_of(ordered), tuple(sorted(warnings)))


def snapshot_of(loaded: Sequence[LoadedObject]) -> Snapshot:
    """The snapshot of objects that have no problems."""
    servers, adapters = _named(loaded, ModelServer), _named(loaded, LoRAAdapter)
    policies, bases = _named(loaded, GuardrailPolicy), _named(loaded, KnowledgeBase)
    splits = _named(loaded, AdapterExperiment)

    def version(spec: PipelineSpec) -> str:
        rewrite = spec.steps.rewrite
        return _version(
            spec,
            *(bases[name].spec for name in (spec.knowledge_base_ref, *spec.more_knowledge_base_refs)),
            policies[spec.guardrail_policy_ref].spec,
            servers[spec.steps.generate.model_server_ref].spec.served,
            *([servers[rewrite.model_server_ref].spec.served] if rewrite is not None else ()),
            *(adapter.spec for adapter in experiments.behind(spec, splits.values(), adapters, servers)),
            *(servers[step.model_server_ref].spec.served for _, step in spec.steps.chain()),
        )

    return Snapshot(
        pipelines={
            name: CompiledPipeline(version=version(pipeline.spec), spec=pipeline.spec)
            for name, pipeline in _named(loaded, Pipeline).items()
        },
        guardrail_policies={
            name: CompiledPolicy(version=_version(policy.spec), spec=policy.spec)
            for name, policy in policies.items()
        },
        knowledge_bases={name: item.spec for name, item in bases.items()},
        model_servers={name: item.spec.served for name, item in servers.items()},
        experiments={name: experiments.compiled(item, adapters) for name, item in splits.items()},
        adapters={name: lora.compiled(item) for name, item in adapters.items()},
        endpoints=endpoints.compiled(servers),
    )


def _named(loaded: Sequence[LoadedObject], kind: type[T]) -> dict[str, T]:
    found = {item.object.metadata.name: item.object for item in loaded if isinstance(item.object, kind)}
    return dict(sorted(found.items()))


def _version(*specs: Model) -> str:
    content = b"\n".join(canonical_json(spec) for spec in specs)
    return hashlib.sha256(content).hexdigest()[:12]


def same_names(ordered: Sequence[LoadedObject]) -> Iterator[Problem]:
    """Objects whose name an earlier one of their kind has: clients name pipelines, and pipelines their parts, without
    a namespace."""
    first: dict[tuple[str, str], LoadedObject] = {}
    for item in ordered:
        earlier = first.setdefault((item.object.kind, item.object.metadata.name), item)
        if earlier is not item:
            other = earlier.object.metadata.namespace
            yield item.problem(
                "metadata.name", f"namespace {other!r} has a {item.object.kind} of that name too"
            )


def misfits(loaded: Sequence[LoadedObject]) -> Iterator[Problem]:
    """What of objects with different names refers to nothing, or to what does not fit."""
    yield from _dangling(loaded)
    yield from _unfit(loaded)
    yield from experiments.unfit(loaded, _named(loaded, ModelServer), _named(loaded, LoRAAdapter))
    yield from endpoints.unfit(loaded)


def clashes(ordered: Sequence[LoadedObject]) -> Iterator[Problem]:
    """Objects that claim what an earlier one has."""
    first: dict[tuple[str, ...], str] = {}
    for item in ordered:
        for claim in experiments.claims(item.object):
            earlier = first.setdefault(claim.key, item.object.metadata.name)
            if earlier != item.object.metadata.name:
                yield item.problem(claim.field, f"{item.object.kind} {earlier!r} {claim.taken}")
                if claim.field == "spec.selectors":
                    break  # for one tenant is enough


def references(item: SluiceObject) -> Iterator[tuple[str, type[SluiceObject], str]]:
    """Field, kind and name of all that an object refers to."""
    if isinstance(item, Pipeline):
        yield "spec.knowledgeBaseRef", KnowledgeBase, item.spec.knowledge_base_ref
        for index, name in enumerate(item.spec.more_knowledge_base_refs):
            yield f"spec.moreKnowledgeBaseRefs[{index}]", KnowledgeBase, name
        yield "spec.guardrailPolicyRef", GuardrailPolicy, item.spec.guardrail_policy_ref
        yield "spec.steps.generate.modelServerRef", ModelServer, item.spec.steps.generate.model_server_ref
        if item.spec.steps.rewrite is not None:
            yield _REWRITE_SERVER, ModelServer, item.spec.steps.rewrite.model_server_ref
        for name, step in item.spec.steps.chain():
            yield f"spec.steps.fallbacks.{name}.modelServerRef", ModelServer, step.model_server_ref
    elif isinstance(item, LoRAAdapter):
        yield "spec.modelServerRef", ModelServer, item.spec.model_server_ref
    elif isinstance(item, AdapterExperiment):
        yield "spec.modelServerRef", ModelServer, item.spec.model_server_ref
        for index, arm in enumerate(item.spec.arms):
            if arm.adapter_ref is not None:
                yield f"spec.arms[{index}].adapterRef", LoRAAdapter, arm.adapter_ref
    elif isinstance(item, TenantShard):
        yield "spec.knowledgeBaseRef", KnowledgeBase, item.spec.knowledge_base_ref


def _dangling(loaded: Sequence[LoadedObject]) -> Iterator[Problem]:
    names = {(type(item.object), item.object.metadata.name) for item in loaded}
    for item in loaded:
        for field, kind, name in references(item.object):
            if (kind, name) not in names:
                known = _listed(sorted(other for of, other in names if of is kind))
                yield item.problem(field, f"there is no {kind.KIND} {name!r}; there is: {known}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more or "none"


def _unfit(loaded: Sequence[LoadedObject]) -> Iterator[Problem]:
    servers = _named(loaded, ModelServer)
    for item in loaded:
        if isinstance(item.object, Pipeline) and (rewrite := item.object.spec.steps.rewrite) is not None:
            server = servers.get(rewrite.model_server_ref)
            if server is not None and server.spec.extractive is not None:
                yield item.problem(
                    _REWRITE_SERVER,
                    f"{rewrite.model_server_ref!r} is extractive: it quotes, and rewrites no question",
                )


def _without_effect(loaded: Sequence[LoadedObject]) -> Iterator[Problem]:
    for item in loaded:
        if isinstance(item.object, TenantShard):
            yield item.problem("", "has no effect without a cluster: the operator acts on it")
        elif isinstance(item.object, ModelServer) and item.object.spec.vllm is not None:
            yield item.problem(
                "spec.vllm", "has no effect without a cluster: the operator starts vLLM's pods"
            )
