"""Between an agent's messages and views. Converts only."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from sluice.adapters.v1 import adapters_pb2 as pb
from sluice_api.objects.lora_adapter import Source
from sluice_operator.agents.protocol import Load, Resolve, Unload
from sluice_operator.agents.views import AgentView, Resolved, Trouble, Version
from sluice_operator.kinds.lora_adapter.naming import alias_of, by_alias

_PHASES: Final = {
    pb.PHASE_WAITING: "Waiting",
    pb.PHASE_FETCHING: "Fetching",
    pb.PHASE_CHECKING: "Checking",
}


def with_changes(seen: AgentView, changes: Mapping[str, Version | None]) -> AgentView:
    """The same after names came, or, where they have no version, went."""
    loaded, aliases = dict(seen.loaded), dict(seen.aliases or {})
    for name, now in changes.items():
        loaded.pop(name, None)
        if now is not None:
            loaded[name] = now
        alias = alias_of(name)
        others = tuple(each for each in aliases.pop(alias, ()) if each != name)
        if left := (*others, name) if now is not None else others:
            aliases[alias] = left
    return replace(seen, loaded=loaded, aliases=aliases)


def resolve_request(call: Resolve) -> pb.ResolveRequest:
    """Asks for files."""
    return pb.ResolveRequest(
        source=source(call.source),
        digest=call.digest,
        config_digest=call.config_digest,
        rank=call.rank,
        timeout=call.seconds,
    )


def load_request(call: Load) -> pb.LoadRequest:
    """Asks for a load."""
    version = call.version
    return pb.LoadRequest(name=call.name, digest=version.digest, config_digest=version.config_digest)


def unload_request(call: Unload) -> pb.UnloadRequest:
    """Asks for an unload."""
    return pb.UnloadRequest(name=call.name)


def source(given: Source) -> pb.Source:
    """A source as a message, which has the same names."""
    message = pb.Source()
    for kind, fields in given.model_dump(exclude_none=True).items():
        for name, value in fields.items():
            setattr(getattr(message, kind), name, value)
    return message


def phase(progress: pb.Progress) -> str:
    """The word for it; empty for one that this version does not know."""
    return _PHASES.get(progress.phase, "")


def resolved(adapter: pb.Adapter) -> Resolved:
    """What a `Resolve` found."""
    return Resolved(
        version=version(adapter.digest, adapter.config_digest),
        origin=adapter.origin,
        rank=adapter.rank,
        base_model=adapter.base_model,
        target_modules=tuple(adapter.target_modules),
        size_bytes=adapter.size_bytes,
        warnings=tuple(warning.message for warning in adapter.warnings),
    )


def view(status: bytes) -> AgentView:
    """A `GetStatusResponse`."""
    response = pb.GetStatusResponse.FromString(status)
    engine = response.engine
    trouble = None
    if not engine.reachable:
        trouble = Trouble(engine.reason or "ENGINE_UNREACHABLE", engine.problem or "vLLM does not answer")
    loaded = {
        # the same names and versions are on many pods
        sys.intern(each.name): version(each.digest, each.config_digest) if each.digest else None
        for each in response.loaded
    }
    return AgentView(
        reachable=True,
        engine_reachable=engine.reachable,
        trouble=trouble,
        loaded=loaded,
        aliases=by_alias(loaded),
        here=frozenset(version(each.digest, each.config_digest) for each in response.adapters),
        models=tuple(map(sys.intern, engine.models)),
    )


@lru_cache(maxsize=16_384)
def version(digest: str, config_digest: str) -> Version:
    """One object for each version."""
    return Version(digest, config_digest)
