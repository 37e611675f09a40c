"""How a call ends that streams its requests: as the other side says, whatever became of a write.

A server may end a call before it has read all requests, and a write that is on its way then fails. grpc.aio puts
`INTERNAL`, "Internal error from Core", in place of the call's status when that happens (`_StreamRequestMixin._write`),
be the server's own status there already or yet to come, and be it `OK`. gRPC's other clients report the server's.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc
from grpc.aio import AioRpcError, Metadata

_T = TypeVar("_T")

#: Seconds for a status that is behind the failure of a write; it is in this process by then, or about to be.
_PATIENCE = 5.0
#: Seconds between looks for it: a call tells of its first status alone.
_PAUSE = 0.01


class CallEnding:
    """Notes the status that the other side, or the connection, gives a call.

    Args:
        call: One that has just been started.
        patience: Seconds to wait for a status when a write has failed before it came.
    """

    def __init__(self, call: grpc.aio.Call, patience: float = _PATIENCE) -> None:
        self._call = call
        self._patience = patience
        self._status: AioRpcError | None = None
        call.add_done_callback(self._note)

    async def of(self, raised: AioRpcError) -> AioRpcError:
        """What the call has ended with, which may be `OK`, where reading from it raises `raised`."""
        if not _is_of_a_write(raised):
            return raised
        until = time.monotonic() + self._patience
        while self._status is None:
            if time.monotonic() > until:
                return _status(
                    grpc.StatusCode.UNAVAILABLE, "the call broke off while its requests were being sent"
                )
            await asyncio.sleep(_PAUSE)
            self._note(self._call)
        return self._status

    def _note(self, call: Any) -> None:
        status = _status(_now(call.code()), _now(call.details()), _now(call.trailing_metadata()))
        if self._status is None and not _is_of_a_write(status):
            self._status = status


def _is_of_a_write(status: AioRpcError) -> bool:
    return (
        status.code() is grpc.StatusCode.INTERNAL
        and status.details() == "Internal error from Core"
        and not status.trailing_metadata()
    )


def _status(code: grpc.StatusCode, details: str, trailing: Metadata | None = None) -> AioRpcError:
    return AioRpcError(code, Metadata(), trailing or Metadata(), details=details)


def _now(answer: Coroutine[Any, Any, _T]) -> _T:
    """What a call that is done answers, at once: in a task of its own it would see a status that came later."""
    try:
        answer.send(None)
    except StopIteration as stop:
        answered: _T = stop.value
        return answered
    answer.close()
    raise RuntimeError("a call that is done does not know its status")
