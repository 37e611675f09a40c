"""Server-side apply's arithmetic: objects as trees, who owns which field, what merges and what is replaced."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from sluice_operator.cluster.resources import NETWORK_POLICIES, Resource

Path = tuple[Any, ...]
"""Field names; of a list that merges, an `ItemKey` for an item."""
Tree = dict[Any, Any]

#: Lists whose items are merged by a key, with the key's fields and their defaults.
_BY_KEY: Mapping[str, Mapping[str, Any]] = {
    "containers": {"name": ""},
    "initContainers": {"name": ""},
    "volumes": {"name": ""},
    "env": {"name": ""},
    "imagePullSecrets": {"name": ""},
    "volumeMounts": {"mountPath": ""},
    "topologySpreadConstraints": {"topologyKey": "", "whenUnsatisfiable": ""},
}
#: The same in objects of any kind.
_EVERYWHERE: Mapping[str, Mapping[str, Any]] = {"conditions": {"type": ""}, "ownerReferences": {"uid": ""}}
_CONTAINER_PORT: Mapping[str, Any] = {"containerPort": 0, "protocol": "TCP"}
_SERVICE_PORT: Mapping[str, Any] = {"port": 0, "protocol": "TCP"}
#: Maps that are replaced whole.
_ATOMIC = frozenset(
    {"selector", "nodeSelector", "labelSelector", "fieldRef", "secretKeyRef", "configMapKeyRef"}
)
#: What nobody owns.
_IDENTITY = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
    }
)


class Items(dict[Any, Any]):
    """A list that merges, by the keys of its items."""


class ItemKey(tuple[Any, ...]):
    """Of an item; of a set, the item itself."""

    __slots__ = ()


class Leaf:
    """What is replaced whole."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Leaf) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


def tree(resource: Resource, manifest: Mapping[str, Any]) -> Tree:
    """The fields that somebody can own."""
    body = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in _IDENTITY}
    whole: Tree = _grown(resource, {**body, "metadata": metadata})
    return whole


def manifest(of: Tree) -> dict[str, Any]:
    """The way back; without identity."""
    result = copy.deepcopy(_plain(of))
    assert isinstance(result, dict)
    return result


def owned(of: Tree) -> frozenset[Path]:
    """The paths that a manager who applies this owns."""
    return frozenset(_paths(of, ()))


def merged(live: Tree, applied: Tree) -> Tree:
    """The applied fields over the live ones."""
    result = type(live)(live)
    for key, value in applied.items():
        before = live.get(key)
        if isinstance(value, dict) and isinstance(before, type(value)):
            result[key] = merged(before, value)
        else:
            result[key] = value
    return result


def without(of: Tree, paths: Iterable[Path]) -> Tree:
    """A tree with fields taken out, deepest first; a map or list that has nothing left goes too."""
    result = copy.deepcopy(of)
    for path in sorted(paths, key=len, reverse=True):
        _take(result, path)
    return result


def at(of: Tree, path: Path) -> Any:
    """What is at a path; none where nothing is."""
    node: Any = of
    for step in path:
        if not isinstance(node, dict) or step not in node:
            return None
        node = node[step]
    return node


def changed(before: Tree, after: Tree) -> tuple[frozenset[Path], frozenset[Path]]:
    """The paths that an edit has set, and those that it has removed."""
    old, new = owned(before), owned(after)
    return frozenset(path for path in new if at(before, path) != at(after, path)), old - new


def touches(owners: Iterable[Path], path: Path) -> bool:
    """True where one of the paths is this one or below it."""
    return any(each[: len(path)] == path for each in owners)


def _take(node: Tree, path: Path) -> None:
    head, *rest = path
    if not isinstance(node, dict) or head not in node:
        return
    if rest:
        child = node[head]
        _take(child, tuple(rest))
        if isinstance(child, dict) and not child and not isinstance(head, ItemKey):
            del node[head]
    else:
        del node[head]


def _paths(node: Tree, before: Path) -> Iterable[Path]:
    for key, value in node.items():
        path = (*before, key)
        if isinstance(key, ItemKey) or not isinstance(value, dict) or not value:
            yield path
        if isinstance(value, dict):
            yield from _paths(value, path)


def _grown(resource: Resource, value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        if name in _ATOMIC and resource.group != "sluice.dev":
            return Leaf(value)
        return {key: _grown(resource, each, key) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        if name == "finalizers":
            return Items({ItemKey((each,)): Leaf(each) for each in value})
        keys = _keys(resource, name, value)
        if keys:
            return Items(
                {
                    ItemKey(each.get(key, default) for key, default in keys.items()): _grown(resource, each)
                    for each in value
                }
            )
        return Leaf(list(value))
    return Leaf(value)


def _keys(resource: Resource, name: str, value: list[Any] | tuple[Any, ...]) -> Mapping[str, Any]:
    if name in _EVERYWHERE:
        return _EVERYWHERE[name]
    if resource.group == "sluice.dev" or resource == NETWORK_POLICIES:
        return {}
    if name == "ports":
        return _SERVICE_PORT if any("port" in each for each in value) else _CONTAINER_PORT
    return _BY_KEY.get(name, {})


def _plain(node: Any) -> Any:
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, Items):
        return [_plain(each) for each in node.values()]
    return {key: _plain(each) for key, each in node.items()}
