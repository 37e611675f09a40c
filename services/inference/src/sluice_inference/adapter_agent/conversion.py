"""Between messages and nouns. Converts only."""

import math
from typing import Any, Final

from pydantic import ValidationError

from sluice.adapters.v1 import adapters_pb2 as pb
from sluice_api.objects.lora_adapter import Source
from sluice_inference.adapter_agent.agent import Agent, Status
from sluice_inference.adapter_agent.reasons import Reason, failure, is_permanent
from sluice_inference.adapter_agent.resolving import Phase, Progress, Wanted
from sluice_inference.adapter_agent.sources.references import is_digest
from sluice_inference.adapter_agent.store import Stored
from sluice_servicekit.errors import InvalidArgument, ServiceError

_PHASES: Final = {
    Phase.WAITING: pb.PHASE_WAITING,
    Phase.FETCHING: pb.PHASE_FETCHING,
    Phase.CHECKING: pb.PHASE_CHECKING,
}


def wanted(request: pb.ResolveRequest) -> Wanted:
    """What is asked for.

    Raises:
        InvalidArgument: it is not written as it should be.
    """
    for name in ("digest", "config_digest"):
        if (digest := getattr(request, name)) and not is_digest(digest):
            raise InvalidArgument(f"{name} is not `sha256:` and 64 hex digits", field=name)
    if not 0 <= request.timeout < math.inf:
        raise InvalidArgument("timeout is no number of seconds", field="timeout")
    return Wanted(
        _source(request.source), request.digest, request.config_digest, request.rank, request.strict
    )


def _source(source: pb.Source) -> Source:
    kind = source.WhichOneof("kind")
    if kind is None:
        raise InvalidArgument("the source names no place", field="source")
    fields: dict[str, Any] = {
        field.name: value for field, value in getattr(source, kind).ListFields() if value
    }
    try:
        return Source.model_validate({kind: fields}, by_name=True, by_alias=False)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise failure(Reason.SOURCE_INVALID, f"source.{where}: {found['msg']}") from None


def source_message(source: Source) -> pb.Source:
    """A source as a message."""
    message = pb.Source()
    for kind, fields in source.model_dump(exclude_none=True).items():
        for name, value in fields.items():
            setattr(getattr(message, kind), name, value)
    return message


def progress(found: Progress) -> pb.Progress:
    """How far an adapter is."""
    return pb.Progress(phase=_PHASES[found.phase], bytes=found.came, total_bytes=found.expected)


def adapter(stored: Stored, path: str) -> pb.Adapter:
    """An adapter that is here."""
    return pb.Adapter(
        digest=stored.digest,
        config_digest=stored.config_digest,
        path=path,
        origin=stored.origin,
        rank=stored.rank,
        base_model=stored.base_model,
        target_modules=stored.target_modules,
        size_bytes=stored.size_bytes,
        warnings=[pb.Warning(reason=each.reason, message=each.message) for each in stored.warnings],
    )


def status(found: Status, agent: Agent) -> pb.GetStatusResponse:
    """The whole status."""
    response = pb.GetStatusResponse(
        engine=_engine(found),
        adapters=[adapter(stored, agent.path(stored)) for stored in found.stored],
        used_bytes=found.used,
        budget_bytes=found.budget,
    )
    for name, path in (found.models.adapters if found.models else {}).items():
        stored = agent.stored_at(path)
        loaded = response.loaded.add(name=name, path=path)
        if stored:
            loaded.digest, loaded.config_digest = stored.digest, stored.config_digest
    for job in found.jobs:
        response.resolutions.add(
            source=source_message(job.wanted.source),
            digest=job.wanted.digest,
            progress=progress(job.progress),
        )
    for asked, error in found.failed:
        response.resolutions.add(
            source=source_message(asked.source), digest=asked.digest, failure=_failure(error)
        )
    return response


def _engine(found: Status) -> pb.Engine:
    if found.problem:
        return pb.Engine(problem=found.problem.message, reason=found.problem.reason)
    return pb.Engine(reachable=True, models=found.models.base if found.models else ())


def _failure(error: ServiceError) -> pb.Failure:
    return pb.Failure(reason=error.reason, message=error.message, permanent=is_permanent(error))
