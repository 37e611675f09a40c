"""What a call has ended with when a write fails before its status comes."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import grpc
from grpc.aio import AioRpcError, Metadata

from sluice_servicekit.call_endings import CallEnding

WRITE_FAILED = AioRpcError(grpc.StatusCode.INTERNAL, Metadata(), Metadata(), "Internal error from Core")
AWAY = AioRpcError(grpc.StatusCode.UNAVAILABLE, Metadata(), Metadata(("retry", "1")), "store away")


class Call:
    """Tells of its first status alone and answers with the last, as grpc.aio's calls do."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Any], None]] = []
        self._status: AioRpcError | None = None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def end(self, status: AioRpcError) -> None:
        self._status = status
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    async def code(self) -> grpc.StatusCode:
        assert self._status is not None
        return self._status.code()

    async def details(self) -> str | None:
        assert self._status is not None
        return self._status.details()

    async def trailing_metadata(self) -> Metadata | None:
        assert self._status is not None
        return self._status.trailing_metadata()


def started(patience: float = 60) -> tuple[Call, CallEnding]:
    call = Call()
    return call, CallEnding(cast("grpc.aio.Call", call), patience)


async def test_status_that_comes_after_the_failure_is_waited_for() -> None:
    call, ending = started()
    call.end(WRITE_FAILED)
    asyncio.get_running_loop().call_later(0.05, call.end, AWAY)
    ended = await ending.of(WRITE_FAILED)
    assert (ended.code(), ended.details()) == (AWAY.code(), AWAY.details())
    assert ended.trailing_metadata() == AWAY.trailing_metadata()


async def test_status_that_the_failure_takes_the_place_of_is_kept() -> None:
    call, ending = started()
    call.end(AWAY)
    call.end(WRITE_FAILED)
    assert (await ending.of(WRITE_FAILED)).code() is grpc.StatusCode.UNAVAILABLE


async def test_call_that_never_gets_a_status_broke_off() -> None:
    call, ending = started(patience=0)
    call.end(WRITE_FAILED)
    ended = await ending.of(WRITE_FAILED)
    assert ended.code() is grpc.StatusCode.UNAVAILABLE
    assert ended.details() == "the call broke off while its requests were being sent"


async def test_internal_error_of_the_other_side_is_its_own() -> None:
    theirs = AioRpcError(
        grpc.StatusCode.INTERNAL,
        Metadata(),
        Metadata(("grpc-status-details-bin", b"x")),
        WRITE_FAILED.details(),
    )
    call, ending = started()
    call.end(theirs)
    assert await ending.of(theirs) is theirs
