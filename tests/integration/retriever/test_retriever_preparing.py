"""The parsers' processes: what a document does to one costs that document only."""

import asyncio
from collections.abc import Iterator

import pytest

from sluice_retriever.domain.chunking import Budget
from sluice_retriever.domain.model import Document, Prepared
from sluice_retriever.preparing.preparer import Bounds, Preparer
from sluice_servicekit.errors import Unavailable

BUDGET = Budget(200, 1, 254)
GOOD = Document("good.md", "# Otters\n\nOtters hold hands while they sleep.", media_type="text/markdown")


@pytest.fixture
def preparer() -> Iterator[Preparer]:
    prepared = Preparer(Bounds(processes=1, seconds=12.0, memory_bytes=400 << 20))
    yield prepared
    prepared.close()


async def test_a_document_is_parsed_and_cut(preparer: Preparer) -> None:
    page = b"<title>Animals</title><h1>Otters</h1><p>Otters hold hands. They sleep.</p>"

    prepared = await preparer.prepare(Document("a.html", "", content=page), BUDGET)

    assert (prepared.title, prepared.refusal) == ("Animals", "")
    [chunk] = prepared.chunks
    assert (chunk.section, chunk.text, len(chunk.sentences)) == (
        ("Otters",),
        "Otters hold hands. They sleep.",
        2,
    )


async def test_what_is_too_slow_is_ended_and_the_next_one_goes_on(preparer: Preparer) -> None:
    slow = b"<body>" + b"<i></i>" * 2_000_000 + b"</body>"

    late, good = await asyncio.gather(
        preparer.prepare(Document("slow.html", "", content=slow), BUDGET), preparer.prepare(GOOD, BUDGET)
    )

    assert "12 s" in late.refusal or "MiB of memory" in late.refusal
    assert len(good.chunks) == 1


async def test_what_needs_too_much_memory_is_refused_and_the_next_one_goes_on(preparer: Preparer) -> None:
    huge = b"a,b\n" + b"1,2\n" * 1_900_000

    refused = await preparer.prepare(Document("huge.csv", "", content=huge), BUDGET)
    good = await preparer.prepare(GOOD, BUDGET)

    assert "400 MiB of memory" in refused.refusal or "12 s" in refused.refusal
    assert len(good.chunks) == 1


async def test_a_caller_that_leaves_leaves_the_parser_to_others(preparer: Preparer) -> None:
    slow = Document("slow.html", "", content=b"<body>" + b"<i></i>" * 100_000 + b"</body>")
    await preparer.prepare(GOOD, BUDGET)

    leaving = asyncio.create_task(preparer.prepare(slow, BUDGET))
    await asyncio.sleep(0.05)
    leaving.cancel()
    good = await preparer.prepare(GOOD, BUDGET)

    assert len(good.chunks) == 1


async def test_time_that_a_document_left_behind_takes_is_not_the_next_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preparer = Preparer(Bounds(processes=1, seconds=0.05, memory_bytes=400 << 20))
    calls = 0

    async def run(*_: object) -> Prepared:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        if calls == 2:  # waits behind the first, whose alarm ends the process of both
            await asyncio.sleep(0.06)
            raise Unavailable("the parser died")
        return Prepared(title="read")

    monkeypatch.setattr(preparer._processes[0].pool, "run", run)
    leaving = asyncio.create_task(preparer.prepare(GOOD, BUDGET))
    await asyncio.sleep(0)
    leaving.cancel()

    good = await preparer.prepare(GOOD, BUDGET)

    assert good == Prepared(title="read")
