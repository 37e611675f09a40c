"""`Pipeline`: compiled with all other objects; here only its status is made, and the compiler is woken."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from sluice_api.compiling import references
from sluice_api.objects.base import SluiceObject
from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.objects.pipeline import Pipeline
from sluice_api.statuses.base import READY
from sluice_api.statuses.pipeline import PipelineStatus
from sluice_api.tolerant import Key, State
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import Resource, resource_of
from sluice_operator.kinds.pipeline.context import Context, Presence, Referent
from sluice_operator.kinds.pipeline.observe import observe
from sluice_operator.reconciling.kind import Item, Kind, Observation, Plan
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.snapshots.source import MODELS
from sluice_operator.snapshots.views import Distribution, Name


class PipelineKind(Kind[Pipeline, Context]):
    """What there is to know of a pipeline: what it refers to, whether it is in force, and where."""

    model: ClassVar[type[SluiceObject]] = Pipeline
    listens: ClassVar[tuple[Resource, ...]] = tuple(resource_of(model) for model in MODELS)

    def __init__(self, distribution: Distribution, mirror: Mirror) -> None:
        self._distribution = distribution
        self._mirror = mirror
        self._needs: dict[str, frozenset[Name]] = {}
        """By uid, what a pipeline refers to."""
        self._heard: dict[Name, str] = {}
        """What something has last said of its being ready."""

    async def gather(self, item: Item[Pipeline]) -> Context:
        """Everything that a pass depends on."""
        referents = tuple(self._referents(item.object))
        self._needs[item.uid] = frozenset((each.kind, each.name) for each in referents)
        return Context(
            status=PipelineStatus.model_validate(item.object.status),
            view=self._distribution.view(Key(Pipeline.KIND, item.namespace, item.name)),
            referents=referents,
            resting=tuple(sorted(set(self._resting(item.object)))),
        )

    def plan(self, item: Item[Pipeline], context: Context) -> Plan:
        """Nothing: the snapshot is one for all objects."""
        return Plan()

    def observe(self, item: Item[Pipeline], context: Context, children: Sequence[Manifest]) -> Observation:
        """What people are told."""
        return Observation(observe(item.generation, context))

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        """The pipelines that refer to what says something new of its being ready."""
        self._distribution.wake_compiler()
        name, said = (resource.kind, changed["metadata"]["name"]), _not_ready(changed)
        if resource == self.resource or self._heard.get(name) == said:
            return ()
        self._heard[name] = said
        return [pipeline for pipeline, needs in self._needs.items() if name in needs]

    def forgotten(self, item_uid: str) -> None:
        """It is gone."""
        self._needs.pop(item_uid, None)

    def _referents(self, pipeline: Pipeline) -> Iterator[Referent]:
        seen: set[Name] = set()
        for field, model, name in references(pipeline):
            if (model.KIND, name) in seen:
                continue
            seen.add((model.KIND, name))
            found = self._distribution.find(model.KIND, name)
            if found is None:
                there = any(each["metadata"]["name"] == name for each in self._mirror.all(resource_of(model)))
                presence = Presence.UNUSABLE if there else Presence.MISSING
                yield Referent(field, model.KIND, name, presence)
            elif found.state is State.KEPT:
                yield Referent(field, model.KIND, name, Presence.DELETED)
            else:
                yield Referent(field, model.KIND, name, Presence.THERE, self._trouble(model, found.key))

    def _trouble(self, model: type[SluiceObject], key: Key) -> str:
        if model is GuardrailPolicy:
            # What is being distributed is the pipeline's own matter too; what cannot be in force is the policy's.
            watchers = self._distribution.view(key).delivery.watchers
            return next(
                (f"{each.service} {each.instance}: {each.problem}" for each in watchers if each.problem), ""
            )
        return _not_ready(self._mirror.get(resource_of(model), key.namespace, key.name) or {})

    def _resting(self, pipeline: Pipeline) -> Iterator[str]:
        steps = pipeline.spec.steps
        for step in (steps.generate, *(step for _, step in steps.chain())):
            if step.model_name and (
                name := self._distribution.resting(step.model_server_ref, step.model_name)
            ):
                yield name


def _not_ready(manifest: Mapping[str, Any]) -> str:
    for condition in (manifest.get("status") or {}).get("conditions") or ():
        if condition.get("type") == READY and condition.get("status") != "True":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return ""
