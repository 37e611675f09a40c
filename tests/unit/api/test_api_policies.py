"""A `GuardrailPolicy`: what it refuses, and what it says to single tenants."""

import pytest
from pydantic import ValidationError

from sluice_api.merge_patch import merged
from sluice_api.objects.guardrail_policy import Action, GuardrailPolicySpec, Mode
from sluice_api.snapshot import Snapshot

PATCH = {
    "input": {"promptInjection": {"threshold": 0.9}},
    "documents": {"action": "block", "treatment": "drop"},
    "tenants": [
        {
            "names": ["acme", "beta"],
            "patch": {"mode": "shadow", "input": {"promptInjection": {"action": "flag"}}},
        }
    ],
}


def test_a_tenant_gets_the_spec_with_its_patch():
    spec = GuardrailPolicySpec.model_validate(PATCH)
    own = spec.for_tenant("beta")
    assert (own.mode, own.input.prompt_injection.action) == (Mode.SHADOW, Action.FLAG)
    assert own.input.prompt_injection.threshold == 0.9
    assert own.documents == spec.documents
    assert spec.for_tenant("gamma") is spec


@pytest.mark.parametrize("exclude_defaults", [False, True])
def test_what_travels_in_a_snapshot_means_the_same(exclude_defaults: bool):
    spec = GuardrailPolicySpec.model_validate(PATCH)
    content = spec.model_dump_json(by_alias=True, exclude_defaults=exclude_defaults)
    again = GuardrailPolicySpec.model_validate_json(content)
    for tenant in ("acme", "gamma"):
        assert again.for_tenant(tenant).model_copy(update={"tenants": ()}) == spec.for_tenant(
            tenant
        ).model_copy(update={"tenants": ()})


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"input": {"promptInjection": {"action": "redact"}}}, "cannot redact"),
        ({"tenants": [{"names": ["a"], "patch": {"mode": "off"}}]}, r"tenants\[0\].patch.mode"),
        ({"tenants": [{"names": ["a"], "patch": {"tenants": []}}]}, "cannot change `tenants`"),
        ({"tenants": [{"names": ["a"], "patch": {}}, {"names": ["a"], "patch": {}}]}, "'a' is named twice"),
        ({"wasm": [{"name": "x", "module": "sha256:0"}]}, "String should match pattern"),
        ({"output": {"pii": {"reversible": True}}}, "only what the input gate redacts"),
        ({"input": {"pii": {"reversible": True}}}, "takes `action: redact`"),
        (
            {"streaming": "detect", "output": {"pii": {"action": "redact"}}},
            r"output\.pii\.action: with `streaming",
        ),
        (
            {"streaming": "detect", "output": {"profanity": {"action": "redact"}}},
            r"output\.profanity\.action: with `streaming",
        ),
        (
            {"streaming": "detect", "input": {"pii": {"action": "redact", "reversible": True}}},
            r"input\.pii\.reversible: with `streaming",
        ),
    ],
)
def test_what_cannot_be_is_refused(spec: dict[str, object], problem: str):
    with pytest.raises(ValidationError, match=problem):
        GuardrailPolicySpec.model_validate(spec)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_as_in_appendix_a_of_rfc_7396(target: object, patch: object, result: object):
    assert merged(target, patch) == result


def _snapshot(**policies: object) -> Snapshot:
    """A pipeline of each policy's name over `shared`, and over a knowledge base of that name too."""
    return Snapshot.model_validate(
        {
            "guardrailPolicies": {name: {"version": "1", "spec": spec} for name, spec in policies.items()},
            "pipelines": {
                name: {
                    "version": "1",
                    "spec": {
                        "knowledgeBaseRef": name,
                        "moreKnowledgeBaseRefs": ["shared"],
                        "guardrailPolicyRef": name,
                        "steps": {"generate": {"modelServerRef": "m"}},
                    },
                }
                for name in policies
            },
            "knowledgeBases": {name: {} for name in (*policies, "shared")},
        }
    )


def test_documents_are_screened_by_the_policies_of_all_pipelines_that_find_them():
    off = {"documents": {"action": "allow"}}
    snapshot = _snapshot(flags={}, blocks={"documents": {"action": "block"}}, off=off)
    assert snapshot.document_policies("shared", "acme") == ("blocks", "flags")
    assert snapshot.document_policies("flags", "acme") == ("flags",)
    assert snapshot.document_policies("off", "acme") == ()


def test_tenants_patch_counts_where_a_run_is_planned():
    patch = {"documents": {"action": "allow"}, "streaming": "window", "input": {"pii": {"action": "redact"}}}
    snapshot = _snapshot(one={"tenants": [{"names": ["acme", "beta"], "patch": patch}]})
    pipeline = snapshot.pipelines["one"].spec
    for tenant, patched in (("acme", True), ("beta", True), ("gamma", False)):
        assert (snapshot.policy_for(pipeline, tenant).streaming == "window") is patched
        assert snapshot.retrieval_waits(pipeline, tenant) is patched
        assert (snapshot.document_policies("one", tenant) == ()) is patched
    assert snapshot.policy_for(pipeline, "acme") is snapshot.policy_for(pipeline, "beta")
