"""Parameters of retrieval between their message and their model: gateway and retriever both read and write them."""

from typing import Any

from pydantic import ValidationError

from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.retrieval import Retrieval
from sluice_servicekit.errors import InvalidArgument

#: Fields that hold words, and what their values' names start with.
_ENUMS: dict[str, tuple[Any, str]] = {
    "acorn": (retriever_pb2.Acorn, "ACORN_"),
    "token_match": (retriever_pb2.TokenMatch, "TOKEN_MATCH_"),
    "parent": (retriever_pb2.Parent, "PARENT_"),
    "self_query": (retriever_pb2.SelfQuery, "SELF_QUERY_"),
}


def to_message(parameters: Retrieval) -> retriever_pb2.RetrievalParameters:
    """Parameters as far as they are given, as a message."""
    given = parameters.model_dump(exclude_none=True, exclude={"fusion", "keyword_timeout"})
    for name, (kind, words) in _ENUMS.items():
        if name in given:
            given[name] = kind.Value(words + given[name].upper())
    message = retriever_pb2.RetrievalParameters(**given)
    if fusion := parameters.fusion.model_dump(exclude_none=True):
        message.fusion.CopyFrom(retriever_pb2.FusionParameters(**fusion))
    if parameters.keyword_timeout is not None:
        message.keyword_timeout_ms = round(parameters.keyword_timeout * 1000)
    return message


def from_message(message: retriever_pb2.RetrievalParameters, path: str) -> Retrieval:
    """Parameters as far as they are given.

    Args:
        path: Where the message lies in its request; errors start with it.

    Raises:
        InvalidArgument: one has no meaning.
    """
    given: dict[str, object] = {
        field.name: value for field, value in message.ListFields() if field.name in Retrieval.model_fields
    }
    for name, (kind, words) in _ENUMS.items():
        if name in given:
            known = {number: word.removeprefix(words).lower() for word, number in kind.items()}
            given[name] = known.get(given[name], given[name])  # a number without a word is refused below
    if message.HasField("fusion"):
        given["fusion"] = {field.name: value for field, value in message.fusion.ListFields()}
    if message.HasField("keyword_timeout_ms"):
        given["keyword_timeout"] = f"{message.keyword_timeout_ms}ms"
    try:
        return Retrieval.model_validate(given)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join((path, *(str(part) for part in detail["loc"])))
        raise InvalidArgument(f"{where}: {detail['msg']}", field=where) from None
