"""Calls that stream both ways, when it is the caller's own stream that fails."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import TypeVar

from sluice_servicekit.errors import ServiceError

Request = TypeVar("Request")
Response = TypeVar("Response")


async def exchange(
    method: Callable[[AsyncIterator[Request]], AsyncIterable[Response]], requests: AsyncIterator[Request]
) -> AsyncGenerator[Response, None]:
    """The responses of a call that streams both ways.

    gRPC cancels a call whose request stream raises, which looks as if the caller had gone away. Here the stream ends
    instead, what the other side still says is passed on, and then the stream's own error is raised.
    """
    failures: list[Exception] = []

    async def guarded() -> AsyncIterator[Request]:
        try:
            async for request in requests:
                yield request
        except Exception as error:
            failures.append(error)

    try:
        async for response in method(guarded()):
            yield response
    except ServiceError:
        if not failures:  # else it only misses what did not come
            raise
    if failures:
        raise failures[0]
