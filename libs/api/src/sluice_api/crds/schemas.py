"""Structural schemas from models: what pydantic says in JSON Schema, in the words that the API server knows.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from sluice_api.crds.meanings import meanings
from sluice_api.objects.base import DURATION_PATTERN, Model, parse_duration, write_duration
from sluice_api.objects.cel import Rule

Schema = dict[str, Any]

_RULES = "x-kubernetes-validations"
_LIST_TYPE = "x-kubernetes-list-type"
_LIST_KEYS = "x-kubernetes-list-map-keys"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_MEANINGS = "x-sluice-meanings"
_VARIES = "x-sluice-varies"
_ANYTHING = "x-kubernetes-preserve-unknown-fields"
_REFERENCE = "#/$defs/"

_DURATION = {"type": "string", "maxLength": 32, "pattern": DURATION_PATTERN}

#: What stays as it is.
_KEPT = ("type", "description", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum")
_KEPT_TOO = ("multipleOf", "minItems", "maxItems", "minProperties", "maxProperties", "required", "default")
_SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def structural(model: type[BaseModel]) -> Schema:
    """The schema of a model, without references; unset fields are absent, never null."""
    whole = model.model_json_schema(by_alias=True, schema_generator=_Generator, mode="validation")
    return _convert(whole, whole.get("$defs", {}))


def found(model: type[BaseModel]) -> Schema:
    """The schema of a status: nothing is filled into what the operator has found, and no rule keeps it from saying
    so."""
    schema: Schema = _found(structural(model))
    return schema


class _Generator(GenerateJsonSchema):
    """pydantic's own, with durations as they are written, and each model's rules and list key."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        result = super().model_schema(schema)
        model = schema["cls"]
        if issubclass(model, Model):
            if model.RULES:
                result[_RULES] = [_rule(rule) for rule in model.RULES]
            if model.LIST_KEYS:
                result[_LIST_KEYS] = list(model.LIST_KEYS)
        return result

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        result = super().enum_schema(schema)
        # As a list: pydantic sorts the keys of what is not known to it.
        return result | {_MEANINGS: list(meanings(schema["cls"]).items())}

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        if schema["function"]["function"] is parse_duration:
            return dict(_DURATION)
        return super().function_before_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        result = super().dict_schema(schema)
        for values in result.pop("patternProperties", {}).values():
            result |= {
                "additionalProperties": values,
                "propertyNames": self.generate_inner(schema["keys_schema"]),
            }
        return result

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        default = result.get("default")
        if isinstance(default, float) and _is_duration(result):
            result["default"] = write_duration(default)
        return result

    def encode_default(self, dft: Any) -> Any:
        # The API server fills in what the fields' own defaults say, but not before it tries the rules on this one.
        if isinstance(dft, Model):
            whole = bool(dft.RULES)
            return dft.model_dump(mode="json", by_alias=True, exclude_none=whole, exclude_defaults=not whole)
        return super().encode_default(dft)


def _is_duration(schema: Mapping[str, Any]) -> bool:
    return schema.get("pattern") == DURATION_PATTERN or any(map(_is_duration, schema.get("anyOf", ())))


def _rule(rule: Rule) -> Schema:
    said: Schema = {"rule": rule.cel, "message": rule.message}
    if rule.field:
        said["fieldPath"] = f".{rule.field}"
    if rule.forbidden:
        said["reason"] = "FieldValueForbidden"
    return said


def _convert(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    schema = _plain(schema, definitions)
    result = _value(schema)
    rules = [*schema.get(_RULES, ())]
    if _is_duration(result):
        rules += _duration_rules(schema)
    if schema.get("type") == "array":
        result |= _items(schema, definitions)
    if schema.get("type") == "object":
        result |= _fields(schema, definitions)
        rules += _key_rules(schema, definitions, result)
    if schema.get(_INT_OR_STRING):
        result |= {"anyOf": [{"type": "integer"}, {"type": "string"}], _INT_OR_STRING: True}
    elif "type" not in result:
        result |= {_ANYTHING: True, **({} if _VARIES in schema else {"nullable": True})}
    if rules:
        result[_RULES] = rules
    return result


def _value(schema: Schema) -> Schema:
    """What is said of a value itself."""
    result = {key: schema[key] for key in (*_KEPT, *_KEPT_TOO) if schema.get(key) is not None}
    said = [schema.get("description", "")]
    said += [f"`{value}`: {meaning}" for value, meaning in schema.get(_MEANINGS, ())]
    if any(said):
        result["description"] = " ".join(" ".join(said).split())
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if "enum" in result:
        result["type"] = _SCALARS[type(result["enum"][0])]
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in schema:
            result |= {inclusive: schema[exclusive], exclusive: True}
    return result


def _plain(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """The schema with what it refers to in its place, and of alternatives the one that is no null."""
    if "$ref" in schema:
        schema = dict(schema)
        target = definitions[schema.pop("$ref").removeprefix(_REFERENCE)]
        return _plain({**target, **schema}, definitions)
    if "anyOf" in schema:
        schema = dict(schema)
        alternatives = [each for each in schema.pop("anyOf") if each.get("type") != "null"]
        if len(alternatives) > 1:  # no structural schema says that: pydantic alone checks it
            return {_VARIES: True, **{key: schema[key] for key in ("description",) if key in schema}}
        return _plain({**_plain(alternatives[0], definitions), **schema}, definitions)
    return schema


def _items(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    inner = _plain(schema["prefixItems"][0] if "prefixItems" in schema else schema["items"], definitions)
    result: Schema = {"items": _convert(inner, definitions), _LIST_TYPE: schema.get(_LIST_TYPE, "atomic")}
    if keys := inner.get(_LIST_KEYS):
        result |= {_LIST_TYPE: "map", _LIST_KEYS: keys}
        required = result["items"].get("required", [])
        result["items"]["required"] = [*required, *(key for key in keys if key not in required)]
    return result


def _fields(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    if "properties" in schema:
        return {
            "properties": {name: _convert(each, definitions) for name, each in schema["properties"].items()}
        }
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        return {"additionalProperties": _convert(values, definitions)}
    return {_ANYTHING: True} if values is True else {}


def _key_rules(schema: Schema, definitions: Mapping[str, Schema], result: Schema) -> list[Schema]:
    """What a map's keys may be, which the API server's schemas cannot say."""
    keys = _plain(schema.get("propertyNames", {}), definitions)
    if "enum" in keys:
        result["maxProperties"] = len(keys["enum"])
        known = ", ".join(f"'{each}'" for each in keys["enum"])
        message = f"the keys must be among {', '.join(keys['enum'])}"
        return [{"rule": f"self.all(key, key in [{known}])", "message": message}]
    if "maxLength" in keys:
        least, most, pattern = keys.get("minLength", 0), keys["maxLength"], keys.get("pattern")
        matches = f" && key.matches(r'{pattern}')" if pattern else ""
        wanted = f"have {least} to {most} characters" + (f" and match `{pattern}`" if pattern else "")
        return [
            {
                "rule": f"self.all(key, size(key) >= {least} && size(key) <= {most}{matches})",
                "message": f"the keys must {wanted}",
            }
        ]
    return []


def _duration_rules(schema: Schema) -> list[Schema]:
    """Bounds of a duration: pydantic leaves them as they were given, since it knows none of a text."""
    return [
        _duration_rule(sign, schema[bound], words)
        for bound, sign, words in (
            ("ge", ">=", "at least"),
            ("gt", ">", "more than"),
            ("le", "<=", "at most"),
        )
        if bound in schema and (sign, schema[bound]) != (">=", 0.0)
    ]


def _duration_rule(sign: str, bound: float, words: str) -> Schema:
    written = write_duration(bound)
    # Days are no unit of CEL's.
    days = f"double(self.substring(0, size(self) - 1)) * 86400.0 {sign} {float(bound)}"
    return {
        "rule": f"self.endsWith('d') ? {days} : duration(self) {sign} duration('{written}')",
        "message": f"must be {words} {written}",
    }


def _found(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_found(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _found(each) for key, each in schema.items() if key not in ("default", _RULES)}
    if isinstance(schema.get("properties"), dict):
        # A field may be called `default` too.
        result["properties"] = {name: _found(each) for name, each in schema["properties"].items()}
    return result
