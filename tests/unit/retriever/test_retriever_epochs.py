"""Epochs that are remembered between writes: never one from before a write that was acknowledged."""

import asyncio

from sluice_retriever.domain.model import Epoch
from sluice_retriever.store.epochs import KnownEpochs


class Register:
    def __init__(self) -> None:
        self.epoch = Epoch("c", 1)
        self.reads = 0

    async def read(self) -> Epoch:
        self.reads += 1
        return self.epoch


async def test_epoch_is_read_once_between_two_writes() -> None:
    known, register = KnownEpochs(), Register()
    assert [await known.of("t", 0.0, register.read) for _ in range(3)] == [register.epoch] * 3
    assert register.reads == 1
    with known.changing():
        register.epoch = Epoch("c", 2)
    assert await known.of("t", 0.0, register.read) == Epoch("c", 2)


async def test_write_that_fails_makes_epochs_forgotten_too() -> None:
    known, register = KnownEpochs(), Register()
    await known.of("t", 0.0, register.read)
    try:
        with known.changing():
            register.epoch = Epoch("c", 2)
            raise ConnectionError
    except ConnectionError:
        pass
    assert await known.of("t", 0.0, register.read) == Epoch("c", 2)


async def test_what_was_read_before_a_write_ended_is_not_remembered() -> None:
    known, register = KnownEpochs(), Register()
    reading, written = asyncio.Event(), asyncio.Event()

    async def slow() -> Epoch:
        early = register.epoch
        reading.set()
        await written.wait()
        return early

    looking = asyncio.create_task(known.of("t", 0.0, slow))
    await reading.wait()
    with known.changing():
        register.epoch = Epoch("c", 2)
    written.set()
    assert await looking == Epoch("c", 1)
    assert await known.of("t", 0.0, register.read) == Epoch("c", 2)


async def test_epoch_is_read_again_once_a_document_has_expired() -> None:
    known, register = KnownEpochs(), Register()
    register.epoch = Epoch("c", 1, next_expiry=10.0)
    await known.of("t", 9.0, register.read)
    register.epoch = Epoch("c", 1)
    assert await known.of("t", 9.9, register.read) == Epoch("c", 1, next_expiry=10.0)
    assert await known.of("t", 10.0, register.read) == Epoch("c", 1)
