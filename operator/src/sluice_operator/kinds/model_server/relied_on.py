"""What `podTemplate` must leave as it is: the operator finds pods, and speaks to their agents, by it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sluice_operator.kinds.model_server import layout

Part = Mapping[str, Any]

#: Of a container, what is compared item by item: the field, and by which field its items are told apart.
_ITEMS: Final = (("ports", "containerPort"), ("env", "name"), ("volumeMounts", "mountPath"))
#: Variables that a patch may change: they say where vLLM keeps what it fetches.
_FREE: Final = ("HOME", "USER", "XDG_CACHE_HOME", "VLLM_NO_USAGE_STATS")
_FREE_ENDINGS: Final = ("_HOME", "_DIR", "_ROOT")
#: Volumes whose kind is anybody's choice; all others have to be what they were.
_FREE_VOLUMES: Final = ("cache", "tmp", "agent-tmp", "shared-memory", "weights", "adapters")


def lost(before: Part, after: Part) -> Iterator[str]:
    """What a patched pod template lacks of the one before, in words; nothing where it is good.

    Args:
        before: As Sluice makes it.
        after: With `podTemplate`.
    """
    yield from _metadata(before["metadata"], after.get("metadata") or {})
    spec, patched = before["spec"], after["spec"]
    if patched.get("restartPolicy", "Always") != "Always":
        yield "restartPolicy must be Always"
    least, grace = spec["terminationGracePeriodSeconds"], patched.get("terminationGracePeriodSeconds")
    if not isinstance(grace, int) or grace < least:
        yield f"terminationGracePeriodSeconds must be {least} at least, for spec.vllm.drain; lower that"
    if patched.get("enableServiceLinks") is not False:
        yield "enableServiceLinks must be false: a Service called `vllm` would set VLLM_PORT"
    for container in spec["containers"]:
        found = _named(patched.get("containers"), container["name"])
        if found is None:
            yield f"container {container['name']!r} is missing"
        else:
            yield from _container(container, found)
    for volume in spec["volumes"]:
        found = _named(patched.get("volumes"), volume["name"])
        if found is None:
            yield f"volume {volume['name']!r} is missing"
        elif volume["name"] not in _FREE_VOLUMES and found != volume:
            yield f"volume {volume['name']!r} is another one"


def _metadata(before: Part, after: Part) -> Iterator[str]:
    for field in ("labels", "annotations"):
        had, has = before.get(field) or {}, after.get(field) or {}
        for name, value in had.items():
            if has.get(name) != value:
                yield f"{field[:-1]} {name!r} must be {value!r}"


def _container(before: Part, after: Part) -> Iterator[str]:
    name = before["name"]
    if not isinstance(after.get("image"), str) or not after["image"]:
        yield f"container {name!r} has no image"
    arguments = after.get("args") or []
    if missing := [each for each in before.get("args") or [] if each not in arguments]:
        yield f"container {name!r} lacks the argument {missing[0]}; put further arguments into spec.vllm.args"
    if name == layout.AGENT and after.get("command") != before.get("command"):
        yield f"container {name!r} has another command"
    for field, key in _ITEMS:
        for item in before.get(field) or ():
            if field == "env" and _is_free(item["name"]):
                continue
            found = _by(after.get(field), key, item[key])
            if found is None:
                yield f"container {name!r} lacks {field} {item[key]!r}"
            elif any(found.get(part) != value for part, value in item.items()):
                yield f"container {name!r} has other {field} {item[key]!r}"


def _is_free(variable: str) -> bool:
    return not variable.startswith("SLUICE_") and (variable in _FREE or variable.endswith(_FREE_ENDINGS))


def _named(items: object, name: str) -> Part | None:
    return _by(items, "name", name)


def _by(items: object, key: str, value: object) -> Part | None:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping) and item.get(key) == value:
            return item
    return None
