"""The runtime snapshot: what services need of the objects, and no more."""

import hashlib
import json
from functools import cached_property

from pydantic import ConfigDict, Field

from sluice_api.objects.base import Model
from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_api.objects.model_server import ModelServerSpec
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


class Snapshot(Model):
    """Everything the services run by, keyed by object name."""

    model_config = ConfigDict(ignored_types=(cached_property,))

    pipelines: dict[str, CompiledPipeline] = Field(default={})
    guardrail_policies: dict[str, CompiledPolicy] = Field(default={})
    knowledge_bases: dict[str, KnowledgeBaseSpec] = Field(default={})
    model_servers: dict[str, ModelServerSpec] = Field(default={})

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
