"""Errors as Qdrant words them, with their HTTP and gRPC codes. Texts are those that 1.18.3 gave when
it was recorded."""

from dataclasses import dataclass

import grpc


@dataclass(frozen=True)
class Kind:
    status: int
    code: grpc.StatusCode
    prefix: str


BAD_INPUT = Kind(400, grpc.StatusCode.INVALID_ARGUMENT, "Wrong input: ")
BAD_REQUEST = Kind(400, grpc.StatusCode.INVALID_ARGUMENT, "Bad request: ")
EXISTS = Kind(409, grpc.StatusCode.ALREADY_EXISTS, "Wrong input: ")
MISSING = Kind(404, grpc.StatusCode.NOT_FOUND, "Not found: ")
SERVICE = Kind(500, grpc.StatusCode.INTERNAL, "Service internal error: ")
LIMITED = Kind(429, grpc.StatusCode.RESOURCE_EXHAUSTED, "")
UNAUTHORISED = Kind(401, grpc.StatusCode.UNAUTHENTICATED, "")
DOWN = Kind(503, grpc.StatusCode.UNAVAILABLE, "")


class QdrantError(Exception):
    def __init__(self, kind: Kind, text: str, retry_after: int | None = None) -> None:
        super().__init__(kind.prefix + text)
        self.kind = kind
        self.text = kind.prefix + text
        self.retry_after = retry_after


def no_collection(name: str) -> QdrantError:
    return QdrantError(MISSING, f"Collection `{name}` doesn't exist!")


def collection_exists(name: str) -> QdrantError:
    return QdrantError(EXISTS, f"Collection `{name}` already exists!")


def key_exists(key: str, collection: str) -> QdrantError:
    return QdrantError(BAD_REQUEST, f'Sharding key "{key}" already exists for collection {collection}')


def no_key(key: str, collection: str) -> QdrantError:
    return QdrantError(BAD_REQUEST, f'Sharding key "{key}" does not exist for collection {collection}')


def key_not_found(key: str) -> QdrantError:
    return QdrantError(BAD_INPUT, f'Shard key "{key}" not found')


def key_not_given() -> QdrantError:
    return QdrantError(BAD_INPUT, "Shard key not specified")


def neither_key(target: str, fallback: str) -> QdrantError:
    # Twice "not found", as recorded.
    text = f'Neither target shard key "{target}" nor fallback shard key "{fallback}" exist not found'
    return QdrantError(MISSING, text)


def cannot_read(shard: int, peer: int) -> QdrantError:
    text = f"The replica set for shard {shard} on peer {peer} does not have enough active replicas"
    return QdrantError(SERVICE, text)


def cannot_write() -> QdrantError:
    text = "Failed to apply operation to at least one `Active` replica. Consistency of this update is not guaranteed."
    return QdrantError(SERVICE, f"{text} Please retry. ")


def no_index(key: str) -> QdrantError:
    return QdrantError(
        BAD_REQUEST, f"No appropriate index for faceting: `{key}`. Please create one to facet on this field."
    )


def limit_exceeded(value: int, limit: int, name: str) -> QdrantError:
    """Strict mode's."""
    remedy = f'Help: Reduce the "{name}" parameter to or below {limit}.'
    return QdrantError(BAD_REQUEST, f'Limit exceeded {value} > {limit} for "{name}". {remedy}')


def standalone() -> QdrantError:
    return QdrantError(BAD_REQUEST, "Qdrant is running in standalone mode")
