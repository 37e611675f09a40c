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
    servers, adapters = _named(loaded, ModelServer), _named(loaded, LoRAAdapter)
    problems = [
        *_clashes(loaded),
        *_dangling(loaded),
        *_unfit(loaded),
        *experiments.unfit(loaded, servers, adapters),
        *endpoints.unfit(loaded),
    ]
    if problems:
        raise CompileError(problems)
    snapshot = Snapshot(
        pipelines={
            name: CompiledPipeline(version=_pipeline_version(pipeline, loaded), spec=pipeline.spec)
            for name, pipeline in _named(loaded, Pipeline).items()
        },
        guardrail_policies={
            name: CompiledPolicy(version=_version(policy.spec), spec=policy.spec)
            for name, policy in _named(loaded, GuardrailPolicy).items()
        },
        knowledge_bases={name: item.spec for name, item in _named(loaded, KnowledgeBase).items()},
        model_servers={name: item.spec for name, item in servers.items()},
        experiments={
            name: experiments.compiled(item, adapters)
            for name, item in _named(loaded, AdapterExperiment).items()
        },
        adapters={name: lora.compiled(item) for name, item in adapters.items()},
        endpoints=endpoints.compiled(servers),
    )
    warnings = [*_without_effect(loaded), *experiments.idle(loaded, servers)]
    return Compilation(snapshot, tuple(sorted(warnings)))


def _named(loaded: Sequence[LoadedObject], kind: type[T]) -> dict[str, T]:
    found = {item.object.metadata.name: item.object for item in loaded if isinstance(item.object, kind)}
    return dict(sorted(found.items()))


def _version(*specs: Model) -> str:
    content = b"\n".join(canonical_json(spec) for spec in specs)
    return hashlib.sha256(content).hexdigest()[:12]


def _pipeline_version(pipeline: Pipeline, loaded: Sequence[LoadedObject]) -> str:
    spec = pipeline.spec
    servers = _named(loaded, ModelServer)
    bases = _named(loaded, KnowledgeBase)
    rewrite = spec.steps.rewrite
    return _version(
        spec,
        *(bases[name].spec for name in (spec.knowledge_base_ref, *spec.more_knowledge_base_refs)),
        _named(loaded, GuardrailPolicy)[spec.guardrail_policy_ref].spec,
        servers[spec.steps.generate.model_server_ref].spec,
        *([servers[rewrite.model_server_ref].spec] if rewrite is not None else ()),
        *(adapter.spec for adapter in _adapters_behind(spec, loaded)),
        *(servers[step.model_server_ref].spec for _, step in spec.steps.chain()),
    )


def _adapters_behind(spec: PipelineSpec, loaded: Sequence[LoadedObject]) -> list[LoRAAdapter]:
    splits = _named(loaded, AdapterExperiment).values()
    return experiments.behind(spec, splits, _named(loaded, LoRAAdapter), _named(loaded, ModelServer))


def _clashes(loaded: Sequence[LoadedObject]) -> Iterator[Problem]:
    """Clients name pipelines, and pipelines their parts, without a namespace."""
    first: dict[tuple[str, str], LoadedObject] = {}
    for item in sorted(loaded, key=lambda item: (item.label, item.object.metadata.namespace)):
        earlier = first.setdefault((item.object.kind, item.object.metadata.name), item)
        if earlier is not item:
            other = earlier.object.metadata.namespace
            yield item.problem(
                "metadata.name", f"namespace {other!r} has a {item.object.kind} of that name too"
            )


def _references(item: SluiceObject) -> Iterator[tuple[str, type[SluiceObject], str]]:
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
        for field, kind, name in _references(item.object):
            if (kind, name) not in names:
                known = ", ".join(sorted(other for of, other in names if of is kind)) or "none"
                yield item.problem(field, f"there is no {kind.KIND} {name!r}; there is: {known}")


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
