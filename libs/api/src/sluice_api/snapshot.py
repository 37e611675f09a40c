"""The runtime snapshot: what services need of the objects, and no more."""

import hashlib
import json
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from sluice_api.objects.adapter_experiment import AdapterExperimentSpec
from sluice_api.objects.base import Model
from sluice_api.objects.guardrail_policy import Action, GuardrailPolicySpec
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.objects.lora_adapter import Selectors
from sluice_api.objects.model_server import ModelServerSpec, Url
from sluice_api.objects.pipeline import PipelineSpec


class CompiledPolicy(Model):
    """A policy and the version that verdicts name."""

    version: str
    """The first 12 hex digits of the spec's SHA-256."""
    spec: GuardrailPolicySpec


class CompiledPipeline(Model):
    """A pipeline whose references are known to resolve."""

    version: str
    """The first 12 hex digits of the SHA-256 of the spec and of all it refers to."""
    spec: PipelineSpec


class CompiledExperiment(Model):
    """An experiment whose adapters are known to be of its server."""

    spec: AdapterExperimentSpec
    models: dict[str, str]
    """By arm, the name that the server serves it under; its base model where empty."""
    resting: tuple[str, ...] = ()
    """Arms whose adapter is not ready; their units go to control meanwhile."""
    promoted: str = ""
    """The arm that all traffic goes to; none yet when empty."""


class CompiledAdapter(Model):
    """An adapter of a server, as requests find it."""

    model_server: str
    model_name: str
    """The alias."""
    engine_name: str
    """What the engine serves it under."""
    revision: str
    selectors: Selectors
    tenants: tuple[str, ...] = ()
    resting: bool = False
    """Not ready: what would be served by it is served by the base model, or by the adapter that is next best."""

    def serves(self, tenant: str) -> bool:
        """Whether requests of a tenant may come to it."""
        return not self.tenants or tenant in self.tenants


class Endpoint(Model):
    """A replica of a model server, as the operator sees it."""

    LIST_KEYS: ClassVar[tuple[str, ...]] = ("name",)

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """The pod's."""
    url: Url
    """Base URL, ending in `/v1`."""
    adapters: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=4096)] = ()
    """Names in the engine of the adapters that it can serve."""
    draining: bool = False
    """Takes no new requests."""


class Snapshot(Model):
    """Everything the services run by, keyed by object name."""

    model_config = ConfigDict(ignored_types=(cached_property,))

    pipelines: dict[str, CompiledPipeline] = Field(default={})
    guardrail_policies: dict[str, CompiledPolicy] = Field(default={})
    knowledge_bases: dict[str, KnowledgeBaseSpec] = Field(default={})
    model_servers: dict[str, ModelServerSpec] = Field(default={})
    experiments: dict[str, CompiledExperiment] = Field(default={})
    adapters: dict[str, CompiledAdapter] = Field(default={})
    endpoints: dict[str, tuple[Endpoint, ...]] = Field(default={})
    """By model server; of those whose pods the operator runs."""

    @cached_property
    def content(self) -> bytes:
        """Canonical JSON: sorted keys, no blanks, UTF-8."""
        return canonical_json(self)

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the hex digest of `content`."""
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    def leaves_the_machine(self, pipeline: PipelineSpec) -> bool:
        """True where looking for a question sends its text to a server: an embedding endpoint, a keyword store."""
        names = (pipeline.knowledge_base_ref, *pipeline.more_knowledge_base_refs)
        return any(self.knowledge_bases[name].leaves_the_machine for name in names)

    def policy_for(self, pipeline: PipelineSpec, tenant: str) -> GuardrailPolicySpec:
        """What both gates do for a tenant."""
        name = pipeline.guardrail_policy_ref
        spec = self.guardrail_policies[name].spec
        first = self._overridden.get((name, tenant))
        if first is None:
            return spec
        if (name, first) not in self._patched:
            self._patched[name, first] = spec.for_tenant(first)
        return self._patched[name, first]

    def retrieval_waits(self, pipeline: PipelineSpec, tenant: str) -> bool:
        """True where nothing may be looked for before the input gate has decided: the question's text goes to a server,
        or the gate may replace it."""
        return self.leaves_the_machine(pipeline) or self.policy_for(pipeline, tenant).may_change_requests

    def document_policies(self, knowledge_base: str, tenant: str) -> tuple[str, ...]:
        """The policies by which passages of a knowledge base are screened for a tenant, by name."""
        specs = (pipeline.spec for pipeline in self.pipelines.values())
        guarding = {
            spec.guardrail_policy_ref
            for spec in specs
            if knowledge_base in (spec.knowledge_base_ref, *spec.more_knowledge_base_refs)
            and self.policy_for(spec, tenant).documents.action is not Action.ALLOW
        }
        return tuple(sorted(guarding))

    def has_canary(self, pipeline: PipelineSpec, tenant: str) -> bool:
        """True where the prompt holds a word that must not appear: what only quotes passages has no prompt."""
        leakage = self.policy_for(pipeline, tenant).output.leakage
        steps = pipeline.steps
        writing = (steps.generate, *(step for _, step in steps.chain()))
        servers = [self.model_servers.get(step.model_server_ref) for step in writing]
        quotes = all(server is not None and server.extractive is not None for server in servers)
        return leakage.canary and leakage.action is not Action.ALLOW and not quotes

    def experiment_on(self, model_server: str, model_name: str) -> tuple[str, CompiledExperiment] | None:
        """The experiment that splits a model's traffic, and its name. No model's name is the base model's."""
        if not self.experiments:
            return None
        server = self.model_servers.get(model_server)
        name = self._split.get((model_server, model_name or (server.base_model if server else "")))
        return None if name is None else (name, self.experiments[name])

    def adapter_of(self, model_server: str, model_name: str) -> tuple[str, CompiledAdapter] | None:
        """The adapter that has an alias on a server, and its name."""
        name = self._aliases.get((model_server, model_name))
        return None if name is None else (name, self.adapters[name])

    @cached_property
    def _aliases(self) -> dict[tuple[str, str], str]:
        """Adapters by model server and alias."""
        return {(each.model_server, each.model_name): name for name, each in self.adapters.items()}

    @cached_property
    def _split(self) -> dict[tuple[str, str], str]:
        """Experiments by model server and model."""
        return {
            (experiment.spec.model_server_ref, experiment.spec.model_name): name
            for name, experiment in self.experiments.items()
        }

    @cached_property
    def _overridden(self) -> dict[tuple[str, str], str]:
        """Of every tenant that a policy names, by policy and tenant, the first that the same patch is for."""
        return {
            (name, tenant): override.names[0]
            for name, policy in self.guardrail_policies.items()
            for override in policy.spec.tenants
            for tenant in override.names
        }

    @cached_property
    def _patched(self) -> dict[tuple[str, str], GuardrailPolicySpec]:
        """Filled as tenants come: a patch is worked out once."""
        return {}

    @classmethod
    def parse(cls, content: bytes, digest: str) -> "Snapshot":
        """Reads a snapshot and checks its digest.

        Raises:
            ValueError: the content is not a snapshot, or not the one that `digest` names.
        """
        found = "sha256:" + hashlib.sha256(content).hexdigest()
        if found != digest:
            raise ValueError(f"content has digest {found}, not {digest}")
        return cls.model_validate_json(content)


def canonical_json(model: Model) -> bytes:
    """The model as JSON with sorted keys, no blanks and no defaults left out, in UTF-8."""
    return json.dumps(
        model.model_dump(mode="json", by_alias=True),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
