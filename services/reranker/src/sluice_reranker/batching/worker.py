"""What a worker process runs: it loads a model, then reads what it is sent until nobody sends any more."""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import cast

from sluice_reranker.batching.pairs import Load, Pair, PairModel
from sluice_reranker.domain.model import Question
from sluice_servicekit.errors import ServiceError

#: Tokens of the pair by which the first pace is taken.
_PACE_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is there."""

    name: str
    most_tokens: int
    at_once: int
    seconds_per_token: float


@dataclass(frozen=True, slots=True)
class Batch:
    """What to read."""

    pairs: Sequence[Pair]
    seconds: float
    """After which nothing more of it is begun."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read."""

    relevance: list[float]
    """Of the first pairs: of all where that took no longer than it may."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Why not."""

    message: str
    reason: str


def run(connection: "Connection[object, object]", load: Load, core: int | None) -> None:
    """The process, from its start to its end.

    Args:
        connection: Takes batches, and gives `Loaded` or `Failed` first, then a `Read` or a `Failed` for each.
        load: Loads the model.
        core: The only core that it runs on; any where there is none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    # One process for each core: threads of their own would only stand in each other's way.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    logging.disable(logging.WARNING)  # libraries' advice to those who make models
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    with contextlib.suppress(EOFError, OSError):  # the parent is gone, or wants no more
        _serve(connection, load)


def _serve(connection: "Connection[object, object]", load: Load) -> None:
    try:
        model = load()
        loaded = Loaded(model.name, model.most_tokens, model.at_once, _pace(model))
    except Exception as error:
        connection.send(_failed(error))
        return
    connection.send(loaded)
    while True:
        batch = cast("Batch", connection.recv())
        reply: Read | Failed
        try:
            reply = _read(model, batch)
        except Exception as error:
            reply = _failed(error)
        connection.send(reply)


def _read(model: PairModel, batch: Batch) -> Read:
    started = time.perf_counter()
    relevance: list[float] = []
    spent = 0.0
    while len(relevance) < len(batch.pairs) and (not relevance or spent < batch.seconds):
        relevance += model.relevance(batch.pairs[len(relevance) : len(relevance) + model.at_once])
        spent = time.perf_counter() - started
    return Read(relevance, spent)


def _pace(model: PairModel) -> float:
    """Seconds per token, from a second pass: the first one, as long as any can be, allocates."""
    question = Question("word word word")
    model.relevance([Pair(question, "word " * model.most_tokens)])
    pair = Pair(question, "word " * min(_PACE_TOKENS, model.most_tokens))
    started = time.perf_counter()
    model.relevance([pair])
    return (time.perf_counter() - started) / pair.tokens(model.most_tokens)


def _failed(error: Exception) -> Failed:
    if isinstance(error, ServiceError):
        return Failed(error.message, error.reason)
    return Failed(f"the ranker's model fails: {type(error).__name__}: {str(error)[:300]}", "RANKER_UNFIT")
