"""A strategic merge of a pod's spec, as `kubectl patch` does it: lists whose items have names are merged by them, and
other lists are replaced. https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch"""

from collections.abc import Mapping
from typing import Any, Final

#: By which field the items of a list are told apart (`patchMergeKey` of the API's own types).
_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "resourceClaims": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
#: Whose items have one of several sources, and are replaced whole: two sources are none.
_WHOLE: Final = ("volumes", "env")
_DIRECTIVE: Final = "$patch"
_DELETE: Final = "delete"
_REPLACE: Final = "replace"


def merged(target: Any, patch: Any, field: str = "") -> Any:
    """The target with the patch applied.

    Args:
        field: Which of a pod's fields it is, for lists.
    """
    if isinstance(patch, Mapping):
        return _map(target if isinstance(target, Mapping) else {}, patch)
    if isinstance(patch, list) and (key := _KEYS.get(field)):
        return _list(target if isinstance(target, list) else [], patch, key, whole=field in _WHOLE)
    return patch


def _map(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = {} if patch.get(_DIRECTIVE) == _REPLACE else dict(target)
    for name, value in patch.items():
        if name == _DIRECTIVE:
            continue
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value, name)
    return result


def _list(target: list[Any], patch: list[Any], key: str, *, whole: bool) -> list[Any]:
    if {_DIRECTIVE: _REPLACE} in patch:
        target = []
    result = list(target)
    for item in patch:
        if not isinstance(item, Mapping) or key not in item:
            continue  # a directive, or nothing that could be told apart
        place = next((n for n, each in enumerate(result) if each.get(key) == item[key]), None)
        if item.get(_DIRECTIVE) == _DELETE:
            if place is not None:
                del result[place]
        elif place is None:
            result.append(_map({}, item))
        else:
            result[place] = _map({} if whole else result[place], item)
    return result
