"""Quotes the sentences that answer, with citations. Needs no model and no network."""

import asyncio
import threading
from collections.abc import AsyncGenerator

from sluice_inference.domain import extractive
from sluice_inference.domain.extractive import Quote
from sluice_inference.domain.model import Delta, Finish, FinishReason, Rewriting, Rewritten, Task
from sluice_lexical import unanswerable
from sluice_lexical.words import count
from sluice_servicekit.errors import FailedPrecondition, InvalidArgument

MODEL = "extractive"

#: The words' stemmer is for one thread at a time.
_ALONE = threading.Lock()


class ExtractiveEngine:
    """The embedded engine."""

    def __init__(self, max_sentences: int) -> None:
        self._max_sentences = max_sentences

    async def generate(self, task: Task) -> AsyncGenerator[Delta | Finish, None]:
        """Streams sentence by sentence.

        Raises:
            InvalidArgument: something is asked for that only a model does (`UNSUPPORTED_VALUE`).
        """
        _refuse_what_a_model_does(task)
        quotes = await asyncio.to_thread(_choose, task, self._max_sentences)
        pieces = [f"{_ended(quote.text)} [{quote.number}]" for quote in quotes]
        pieces = pieces or [unanswerable.sentence(task.question)]
        read = count(task.question) + sum(count(passage.text) for passage in task.passages)
        written, reason = 0, FinishReason.STOP
        text = ""
        for piece in pieces:
            length = count(piece)
            if task.sampling.max_tokens is not None and written + length > task.sampling.max_tokens:
                reason = FinishReason.LENGTH
                break
            spaced = f" {piece}" if text else piece
            cut = _first_stop(text + spaced, task.sampling.stop)
            if cut is not None:
                if rest := (text + spaced)[len(text) : cut]:
                    yield Delta(rest)
                break
            yield Delta(spaced)
            text += spaced
            written += length
        yield Finish(reason, MODEL, read, written, unanswerable=not quotes)

    async def rewrite(self, task: Rewriting) -> Rewritten:
        """Always refuses: it only quotes."""
        raise FailedPrecondition("the extractive engine rewrites no question", reason="REWRITE_UNSUPPORTED")

    async def retire(self) -> None:
        """Holds nothing."""

    async def close(self) -> None:
        """Holds nothing."""


def _choose(task: Task, most: int) -> list[Quote]:
    with _ALONE:
        return extractive.choose(task.question, task.passages, most)


def _refuse_what_a_model_does(task: Task) -> None:
    wanted = {
        "tools": task.tools.callable,
        "answer_format": task.answer_format.is_json,
        "sampling.n": task.sampling.n > 1,
        "sampling.top_logprobs": task.sampling.top_logprobs is not None,
    }
    for field, asked in wanted.items():
        if asked:
            message = f"the extractive engine only quotes: {field} needs a model"
            raise InvalidArgument(message, reason="UNSUPPORTED_VALUE", field=field)


def _ended(sentence: str) -> str:
    """The sentence with a full stop where it ends without any sign: a table's row, a list's item."""
    return f"{sentence}." if sentence[-1].isalnum() or sentence[-1] in "`)]" else sentence


def _first_stop(text: str, stops: tuple[str, ...]) -> int | None:
    found = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return min(found) if found else None
