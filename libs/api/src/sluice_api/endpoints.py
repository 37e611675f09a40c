"""The replicas of model servers, which the operator writes into their status, on their way into the snapshot. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from sluice_api.errors import Problem
from sluice_api.loading import LoadedObject
from sluice_api.objects.model_server import ModelServer
from sluice_api.snapshot import Endpoint

_ENDPOINTS: TypeAdapter[tuple[Endpoint, ...]] = TypeAdapter(tuple[Endpoint, ...])


def compiled(servers: Mapping[str, ModelServer]) -> dict[str, tuple[Endpoint, ...]]:
    """By model server, in the order of their names; servers without any are absent."""
    found = {name: _ENDPOINTS.validate_python(_told(server)) for name, server in servers.items()}
    return {
        name: tuple(sorted(replicas, key=lambda each: each.name))
        for name, replicas in found.items()
        if replicas
    }


def unfit(loaded: Sequence[LoadedObject]) -> Iterator[Problem]:
    """What is no list of endpoints."""
    for item in loaded:
        if isinstance(item.object, ModelServer):
            try:
                _ENDPOINTS.validate_python(_told(item.object))
            except ValidationError as error:
                for each in error.errors():
                    place = "".join(
                        f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"]
                    )
                    yield item.problem(f"status.endpoints{place}", each["msg"])


def fit(status: Mapping[str, object]) -> Mapping[str, object]:
    """A status without what is no endpoint in it."""
    told = status.get("endpoints")
    if not told:
        return status
    good = [each for each in told if _is_fit(each)] if isinstance(told, list) else []
    return {**status, "endpoints": good}


def _is_fit(endpoint: object) -> bool:
    try:
        Endpoint.model_validate(endpoint)
    except ValidationError:
        return False
    return True


def _told(server: ModelServer) -> object:
    return server.status.get("endpoints") or ()
