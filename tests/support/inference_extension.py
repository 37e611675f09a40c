"""`InferenceModelRewrite` of Gateway API's inference extension, with what it demands of a split."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.api_server import ApiServer

NAME = "inferencemodelrewrites.inference.networking.x-k8s.io"


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return found | ({"required": list(required)} if required else {})


def _list(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items} | ({"minItems": least} if least else {})


_TEXT = {"type": "string"}
_SOME = {"type": "string", "minLength": 1}
_TARGET = _object(
    ("modelRewrite",),
    modelRewrite=_TEXT,
    weight={"type": "integer", "format": "int32", "minimum": 1, "maximum": 1_000_000},
)
_MATCH = _object(
    ("model",),
    model=_object(("value",), type={"type": "string", "enum": ["Exact"], "default": "Exact"}, value=_SOME),
)
_POOL = _object(
    ("name",),
    group={"type": "string", "default": "inference.networking.k8s.io"},
    kind={"type": "string", "default": "InferencePool"},
    name=_SOME,
)
_SPEC = _object(
    ("poolRef", "rules"),
    poolRef=_POOL,
    rules=_list(_object(matches=_list(_MATCH), targets=_list(_TARGET, 1))),
)

DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME},
    "spec": {
        "group": "inference.networking.x-k8s.io",
        "scope": "Namespaced",
        "names": {
            "kind": "InferenceModelRewrite",
            "listKind": "InferenceModelRewriteList",
            "plural": "inferencemodelrewrites",
            "singular": "inferencemodelrewrite",
        },
        "versions": [
            {
                "name": "v1alpha2",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": _object(spec=_SPEC)},
            }
        ],
    },
}


@contextmanager
def installed(server: ApiServer) -> Iterator[None]:
    """The kind is there for the length of the block, and stays where it was there before."""
    there = NAME in server.kubectl("get", "crds", "-o", "name")
    if not there:
        server.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(DEFINITION))
        server.kubectl("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=60s")
    try:
        yield
    finally:
        if not there:
            server.kubectl("delete", "crd", NAME, "--wait=true", "--timeout=60s")
