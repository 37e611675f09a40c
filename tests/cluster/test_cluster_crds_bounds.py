"""Every bound of every field on a real API server, beside pydantic's: what the one refuses the other does."""

import re
from collections.abc import AsyncIterator
from functools import cache

import pytest
from pydantic import ValidationError

from sluice_api.crds.definitions import definitions
from sluice_api.objects.registry import KINDS
from support import crds
from support.api_server import ApiServer
from support.crd_rules import manifest
from support.crd_samples import BOUNDS, Bound, sample, without_required

pytestmark = pytest.mark.needs("cluster")

#: What is said of more than one field, and where a rule could not be tried.
_OF_RULES = ("some validation rules were not checked", "evaluating rule", "Duplicate value")


@pytest.fixture(scope="module", autouse=True)
def _installed(server: ApiServer) -> None:
    crds.install(server)


@pytest.fixture
async def objects(server: ApiServer) -> AsyncIterator[crds.Objects]:
    async with crds.objects(server) as found:
        yield found


@cache
def _spec(kind: str) -> dict:
    (definition,) = (each for each in definitions().values() if each["spec"]["names"]["kind"] == kind)
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


@cache
def _messages(kind: str) -> tuple[str, ...]:
    return (*_OF_RULES, *_rules(_spec(kind)))


def _rules(schema: object) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(_rules, schema))
    if not isinstance(schema, dict):
        return set()
    own = {rule["message"] for rule in schema.get("x-kubernetes-validations", ())}
    return own.union(*map(_rules, schema.values()))


def _by_server(reply: crds.Reply, kind: str) -> set[str]:
    return {
        re.sub(r"\[([^]]+)\]", r".\1", field)
        for field, message in reply.causes
        # A dot before: the scale subresource cannot read its field.
        if not field.startswith(".") and not any(rule in message for rule in _messages(kind))
    }


def _by_pydantic(body: dict, kind: str, places: frozenset[str] = frozenset()) -> set[str]:
    """What it refuses, rules between fields aside. Where a bound is checked by code, the error is of the same type as
    theirs: it counts at, or within, one of the places."""
    try:
        KINDS[kind].model_validate(body)
    except ValidationError as error:
        paths = set()
        for each in error.errors():
            path = _path(each["loc"], each["type"])
            if each["type"] == "value_error":
                paths |= {place for place in places if f"{path}.".startswith(f"{place}.")}
            else:
                paths.add(path)
        # A list of items that are all wrong is called too short as well.
        return {path for path in paths if not any(other.startswith(f"{path}.") for other in paths)}
    return set()


def _path(location: tuple[int | str, ...], type_: str) -> str:
    """As the server has it: it blames a map for its keys, and a pair for what is missing of it."""
    path = list(location)
    if path[-1] == "[key]":
        path = path[:-2]
    elif type_ == "missing" and isinstance(path[-1], int):
        path = path[:-1]
    return ".".join(map(str, path))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("bound", BOUNDS, ids=str)
async def test_a_bound_refuses_what_breaks_it_and_nothing_else(
    bound: Bound, kind: str, objects: crds.Objects
) -> None:
    broken, kept = (sample(_spec(kind), choice, "spec") for choice in (bound.broken, bound.kept))
    refused = await objects.create(manifest(kind, broken.value), dry_run=True)
    accepted = await objects.create(manifest(kind, kept.value), dry_run=True)

    assert {refused.status, accepted.status} <= {201, 422}, refused.message + accepted.message
    assert _by_server(refused, kind) == broken.places
    assert _by_pydantic(manifest(kind, broken.value), kind, broken.places) == broken.places
    assert _by_server(accepted, kind) == set()
    assert _by_pydantic(manifest(kind, kept.value), kind) == set()


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_what_has_to_be_there_is_asked_for(kind: str, objects: crds.Objects) -> None:
    lacking = without_required(_spec(kind), "spec")
    reply = await objects.create(manifest(kind, lacking.value), dry_run=True)

    assert _by_server(reply, kind) == lacking.places
    assert _by_pydantic(manifest(kind, lacking.value), kind) == lacking.places


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_only_a_kind_that_needs_nothing_may_lack_its_spec(kind: str, objects: crds.Objects) -> None:
    body = manifest(kind, {})
    del body["spec"]
    reply = await objects.create(body, dry_run=True)

    assert (reply.status == 201) == (not KINDS[kind].model_fields["spec"].is_required()), reply.message
