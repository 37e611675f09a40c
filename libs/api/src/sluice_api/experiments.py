"""Experiments and the adapters that they name, on their way into the snapshot. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sluice_api.adapters import is_resting, served_name
from sluice_api.errors import Problem
from sluice_api.loading import LoadedObject
from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.base import SluiceObject
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline, PipelineSpec
from sluice_api.snapshot import CompiledExperiment

Adapters = Mapping[str, LoRAAdapter]
Servers = Mapping[str, ModelServer]


def compiled(experiment: AdapterExperiment, adapters: Adapters) -> CompiledExperiment:
    """An experiment whose references resolve; its verdict, which is its status's, included."""
    named = {arm.name: adapters[arm.adapter_ref] for arm in experiment.spec.arms if arm.adapter_ref}
    return CompiledExperiment(
        spec=experiment.spec,
        models={
            arm.name: served_name(named[arm.name]) if arm.name in named else ""
            for arm in experiment.spec.arms
        },
        resting=tuple(sorted(name for name, adapter in named.items() if is_resting(adapter))),
        promoted=_promoted(experiment),
    )


def behind(
    pipeline: PipelineSpec, experiments: Iterable[AdapterExperiment], adapters: Adapters, servers: Servers
) -> list[LoRAAdapter]:
    """The adapters that may write a pipeline's answers, by name."""
    steps = (pipeline.steps.generate, *pipeline.steps.fallbacks.values())
    models = {(step.model_server_ref, step.model_name) for step in steps}
    arms = {
        arm.adapter_ref
        for experiment in experiments
        if _generates(pipeline, experiment.spec.model_server_ref, _names(experiment, servers))
        for arm in experiment.spec.arms
    }
    return [
        adapter
        for name, adapter in sorted(adapters.items())
        if name in arms or (adapter.spec.model_server_ref, adapter.spec.model_name) in models
    ]


@dataclass(frozen=True, slots=True)
class Claim:
    """What only one object may have."""

    key: tuple[str, ...]
    field: str
    taken: str
    """What another one that claims it is told, after the name of who has it."""


def claims(item: SluiceObject) -> Iterator[Claim]:
    """What an experiment or an adapter takes for itself: a model's name on a server, and what selects it."""
    if not isinstance(item, (AdapterExperiment, LoRAAdapter)):
        return
    server, model = item.spec.model_server_ref, item.spec.model_name
    yield Claim((item.kind, server, model), "spec.modelName", f"has {model!r} of {server!r} already")
    if isinstance(item, LoRAAdapter) and (item.spec.selectors.task or item.spec.selectors.locale):
        selectors = item.spec.selectors
        for tenant in item.spec.tenants or ("",):
            of = f" for tenant {tenant!r}" if tenant else ""
            yield Claim(
                ("selectors", server, selectors.task.lower(), selectors.locale.lower(), tenant),
                "spec.selectors",
                f"of {server!r} has the same selectors{of}",
            )


def unfit(loaded: Sequence[LoadedObject], servers: Servers, adapters: Adapters) -> Iterator[Problem]:
    """What is wrong with experiments and adapters whose references resolve."""
    for item in loaded:
        if isinstance(item.object, AdapterExperiment):
            yield from _unfit_experiment(item, item.object, servers, adapters)
        elif isinstance(item.object, LoRAAdapter):
            yield from _unfit_adapter(item, item.object, servers)


def fit(item: SluiceObject, status: Mapping[str, object]) -> Mapping[str, object]:
    """An object's status without a verdict for an arm that its experiment does not have."""
    if not isinstance(item, AdapterExperiment):
        return status
    if status.get("promoted") in [arm.name for arm in item.spec.arms]:
        return status
    return {name: value for name, value in status.items() if name != "promoted"}


def idle(loaded: Sequence[LoadedObject], servers: Servers) -> Iterator[Problem]:
    """What has no effect: experiments on models that no pipeline uses, adapters that nothing names, and those that
    the operator would have to load."""
    pipelines = [item.object.spec for item in loaded if isinstance(item.object, Pipeline)]
    experiments = [item.object for item in loaded if isinstance(item.object, AdapterExperiment)]
    in_arms = {arm.adapter_ref for experiment in experiments for arm in experiment.spec.arms}
    for item in loaded:
        if isinstance(item.object, AdapterExperiment):
            spec, names = item.object.spec, _names(item.object, servers)
            if not any(_generates(pipeline, spec.model_server_ref, names) for pipeline in pipelines):
                yield item.problem(
                    "spec.modelName",
                    f"splits nothing: no Pipeline has modelName {spec.model_name!r} of {spec.model_server_ref!r} in "
                    "steps.generate",
                )
        elif isinstance(item.object, LoRAAdapter):
            alias = item.object.spec
            named = item.object.metadata.name in in_arms or any(
                _names_adapter(pipeline, alias.model_server_ref, alias.model_name) for pipeline in pipelines
            )
            used = any(
                pipeline.steps.generate.model_server_ref == alias.model_server_ref for pipeline in pipelines
            )
            if servers[alias.model_server_ref].spec.external is None or not (named or used):
                yield item.problem("", "has no effect without a cluster: the operator loads it")


def _unfit_experiment(
    item: LoadedObject, experiment: AdapterExperiment, servers: Servers, adapters: Adapters
) -> Iterator[Problem]:
    spec = experiment.spec
    server = servers.get(spec.model_server_ref)
    if server is not None and server.spec.extractive is not None:
        yield item.problem(
            "spec.modelServerRef", f"{spec.model_server_ref!r} is extractive: it has no models to choose from"
        )
    for index, arm in enumerate(spec.arms):
        adapter = adapters.get(arm.adapter_ref or "")
        if adapter is not None and adapter.spec.model_server_ref != spec.model_server_ref:
            yield item.problem(
                f"spec.arms[{index}].adapterRef",
                f"{arm.adapter_ref!r} is an adapter of {adapter.spec.model_server_ref!r}, not of "
                f"{spec.model_server_ref!r}",
            )
    promoted = _promoted(experiment)
    names = [arm.name for arm in spec.arms]
    if promoted and promoted not in names:
        yield item.problem("status.promoted", f"there is no arm {promoted!r}; there is: {', '.join(names)}")


def _unfit_adapter(item: LoadedObject, adapter: LoRAAdapter, servers: Servers) -> Iterator[Problem]:
    spec = adapter.spec
    server = servers.get(spec.model_server_ref)
    if server is None:
        return
    if server.spec.extractive is not None:
        yield item.problem(
            "spec.modelServerRef", f"{spec.model_server_ref!r} is extractive: it loads no adapters"
        )
    elif server.spec.base_model == spec.model_name:
        yield item.problem(
            "spec.modelName",
            f"{spec.model_name!r} is the base model of {spec.model_server_ref!r}; take another",
        )


def _names(experiment: AdapterExperiment, servers: Servers) -> set[str]:
    """The names by which pipelines ask for the model that an experiment splits."""
    name = experiment.spec.model_name
    return {name, ""} if name == servers[experiment.spec.model_server_ref].spec.base_model else {name}


def _names_adapter(pipeline: PipelineSpec, server: str, model: str) -> bool:
    steps = (pipeline.steps.generate, pipeline.steps.rewrite, *pipeline.steps.fallbacks.values())
    return any(step and (step.model_server_ref, step.model_name) == (server, model) for step in steps)


def _generates(pipeline: PipelineSpec, server: str, models: set[str]) -> bool:
    step = pipeline.steps.generate
    return step.model_server_ref == server and step.model_name in models


def _promoted(experiment: AdapterExperiment) -> str:
    """Nobody where the operator has yet to see an edit that has taken the arm away: the edit is no mistake."""
    promoted, seen = str(experiment.status.get("promoted") or ""), experiment.status.get("observedGeneration")
    late = isinstance(seen, int) and seen < experiment.metadata.generation
    known = any(arm.name == promoted for arm in experiment.spec.arms)
    return "" if late and not known else promoted
