"""Custom resource definitions: what pydantic checks and what the API server is told to check are the same rules."""

from collections.abc import Iterator
from typing import Any, get_args

import generate_crds
import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from sluice_api.crds.definitions import definitions
from sluice_api.objects.base import Model, parse_duration
from sluice_api.objects.registry import KINDS
from sluice_api.statuses.registry import STATUSES
from support.crd_rules import CASES, LEAST, Case, manifest

DEFINITIONS = {each["spec"]["names"]["kind"]: each for each in definitions().values()}

#: What pydantic checks by code, and no rule in CEL: why.
SAID_OTHERWISE = {
    ("KnowledgeBaseSpec", "_named_once"): "the list is a map by name",
    ("PiiDetector", "_possible"): "it can",
    ("ProfanityDetector", "_possible"): "it can",
    ("GuardStep", "check"): "an enum",
    ("RewriteStep", "check"): "an enum",
    ("RetrieveStep", "check"): "an enum",
    ("RerankStep", "check"): "an enum",
    ("GuardrailPolicySpec", "_distinct"): "lists by name, sets; over all tenants it costs more than CEL may",
    ("GuardrailPolicySpec", "_patches_fit"): "CEL applies no patch",
    ("PodTemplate", "_small"): "CEL writes no JSON",
    **{(model, "number_as_text"): "a number or a text" for model in ("Resources", "Cache", "Agent", "Vllm")},
}


def _models() -> dict[str, type[Model]]:
    found: dict[str, type[Model]] = {}

    def visit(annotation: Any) -> None:
        for inner in get_args(annotation):
            visit(inner)
        if not (isinstance(annotation, type) and issubclass(annotation, Model)):
            return
        name = f"{annotation.__module__}.{annotation.__name__}"
        if name not in found:
            found[name] = annotation
            for each in annotation.model_fields.values():
                visit(each.annotation)

    for kind in KINDS.values():
        visit(kind.model_fields["spec"].annotation)
    return found


MODELS = _models()


def _validators(model: type[BaseModel]) -> set[str]:
    """The names of the functions that check."""
    names = {*model.__pydantic_decorators__.model_validators, *model.__pydantic_decorators__.field_validators}
    for each in model.model_fields.values():
        for metadata in (*each.metadata, *_nested(each.annotation)):
            if isinstance(metadata, AfterValidator | BeforeValidator) and metadata.func is not parse_duration:
                names.add(metadata.func.__name__)
    return names


def _nested(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _nested(inner)


def _schemas(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from _schemas(each, f"{path}.{name}")
    if "items" in schema:
        yield from _schemas(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from _schemas(schema["additionalProperties"], f"{path}{{}}")


def _all_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, definition in DEFINITIONS.items():
        yield from _schemas(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], kind)


def test_what_pydantic_checks_by_code_is_a_rule_too() -> None:
    unsaid = {
        (model.__name__, name)
        for model in MODELS.values()
        for name in _validators(model) - {rule.validator for rule in model.RULES}
    }
    assert unsaid == set(SAID_OTHERWISE)


def test_every_rule_names_a_validator_or_compares_with_what_was_before() -> None:
    for model in MODELS.values():
        for rule in model.RULES:
            assert rule.is_transition == (not rule.validator), rule
            assert rule.is_transition or rule.validator in _validators(model), rule


def test_every_rule_has_a_case() -> None:
    messages = {
        rule["message"] for _, schema in _all_schemas() for rule in schema.get("x-kubernetes-validations", ())
    }
    assert len(messages) > 30
    assert [each for each in sorted(messages) if not any(case.message in each for case in CASES)] == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pydantic_says_the_same_as_the_rules(case: Case) -> None:
    model = KINDS[case.kind]
    model.model_validate(case.manifest(case.accepted))
    if case.before is None:
        with pytest.raises(ValidationError):
            model.model_validate(case.manifest(case.refused))
    else:  # of what was before it knows nothing
        model.model_validate(case.manifest(case.refused))


def test_everything_is_bounded() -> None:
    for path, schema in _all_schemas():
        inside = ".spec" in path or ".status" in path
        match schema.get("type"):
            case "string" if inside:
                assert "maxLength" in schema or "enum" in schema, path
            case "array":
                assert "maxItems" in schema, path
            case "object" if "additionalProperties" in schema:
                assert "maxProperties" in schema, path


def test_lists_by_a_key_require_it() -> None:
    for path, schema in _all_schemas():
        if schema.get("x-kubernetes-list-type") == "map":
            assert set(schema["x-kubernetes-list-map-keys"]) <= set(schema["items"]["required"]), path


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_conditions_by_type(kind: str) -> None:
    status = DEFINITIONS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]

    assert status["properties"]["conditions"]["x-kubernetes-list-map-keys"] == ["type"]


def test_every_reason_has_a_meaning() -> None:
    for kind, (_, conditions) in STATUSES.items():
        assert len({each.name for each in conditions}) == len(conditions), kind
        for each in conditions:
            assert each.meaning, (kind, each.name)
            assert each.reasons, (kind, each.name)
            assert all(meaning.strip() for meaning in each.reasons.values()), (kind, each.name)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_an_api_server_adds_is_passed_over(kind: str) -> None:
    body = manifest(kind, LEAST[kind])
    body["metadata"] |= {
        "uid": "8b1c6d5e-7f3b-4a53-9a37-0d0d4f5e3f2c",
        "resourceVersion": "1234",
        "generation": 2,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
        "deletionGracePeriodSeconds": 0,
        "finalizers": ["sluice.dev/operator"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}],
        "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    body["status"] = {"observedGeneration": 2, "conditions": []}

    parsed = KINDS[kind].model_validate(body)

    assert parsed.metadata.generation == 2
    assert parsed.status == body["status"]


def test_files_are_what_the_models_say() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in generate_crds.FOLDER.glob("*.yaml")}

    assert there == generate_crds.files()
