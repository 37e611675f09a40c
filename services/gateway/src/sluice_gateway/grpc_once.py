"""`request_id` of calls that start a run (AIP-155): one of them runs, the others are given its messages."""

import struct
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from sluice.gateway.v1 import gateway_pb2
from sluice_api.objects.pipeline import Payloads
from sluice_gateway.domain.model import Principal
from sluice_gateway.idempotency.idempotency import Idempotency
from sluice_gateway.idempotency.keys import Keyed, keyed
from sluice_gateway.idempotency.recorded import Recorded, is_final
from sluice_servicekit.errors import ServiceError

M = TypeVar("M", gateway_pb2.AnswerResponse, gateway_pb2.AnswerStreamResponse)

_REPLAYED = (("idempotency-replayed", "true"),)

_LENGTH = struct.Struct(">I")


def named(principal: Principal, request: gateway_pb2.AnswerRequest, operation: str) -> Keyed | None:
    """The request under its id; None where it has none.

    Raises:
        InvalidArgument: the id is malformed.
    """
    if not request.request_id:
        return None
    asked = gateway_pb2.AnswerRequest()
    asked.CopyFrom(request)
    asked.ClearField("request_id")
    content = asked.SerializeToString(deterministic=True)
    return keyed(principal, request.request_id, operation, content, field="request_id")


async def once(
    idempotency: Idempotency | None,
    asked: Keyed | None,
    payloads: Payloads,
    retention: float,
    context: Any,
    kind: type[M],
    answer: Callable[[], AsyncGenerator[M, None]],
) -> AsyncGenerator[M, None]:
    """The messages that answer a call, or those of the first call of its id. They are kept before the last one leaves.

    Args:
        kind: Of the messages.
        answer: Makes them.
    """
    begun = None if asked is None or idempotency is None else await idempotency.begin(asked)
    if isinstance(begun, Recorded):
        await context.send_initial_metadata(_REPLAYED)
        if not begun.status:
            raise begun.error()
        for content in _unpacked(begun.body):
            yield kind.FromString(content)
        return
    sent: list[bytes] = []
    ended = begun is None
    try:
        async with aclosing(answer()) as messages:
            async for message in messages:
                if begun is not None:
                    sent.append(message.SerializeToString())
                    if run_id := _last_of(message):
                        ended = True
                        await begun.done(run_id, Recorded(_packed(sent)), payloads, retention)
                yield message
    except ServiceError as error:
        if begun is not None and not ended and is_final(error):
            ended = True
            await begun.done(error.metadata.get("run_id", ""), Recorded.of_error(error), payloads, retention)
        raise
    finally:
        if begun is not None and not ended:
            begun.free()


def _last_of(message: gateway_pb2.AnswerResponse | gateway_pb2.AnswerStreamResponse) -> str:
    """The run's id where the message is the last one."""
    answer = message.answer if isinstance(message, gateway_pb2.AnswerStreamResponse) else message
    return answer.run_id


def _packed(messages: Sequence[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(message)) + message for message in messages)


def _unpacked(content: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(content):
        (length,) = _LENGTH.unpack_from(content, position)
        position += _LENGTH.size
        yield content[position : position + length]
        position += length
