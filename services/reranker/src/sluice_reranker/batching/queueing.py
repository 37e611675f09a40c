"""Whose passages are read next. Pure: the clock is the caller's.

Each request is a job. Jobs take turns, a passage each, so that no large one starves a small one; what is taken together
is read in one go, and is so little that the next job waits for milliseconds. Within a job the first candidates come
first: they are what is worth most where time is short.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sluice_reranker.batching.pace import Pace
from sluice_reranker.batching.pairs import Pair
from sluice_servicekit.errors import ServiceError

#: Seconds that reading what is taken together may take, more or less.
BATCH_SECONDS = 0.02
#: Pairs that are taken together, at most.
BATCH_PAIRS = 32
#: How often a pair is read that the worker has died over.
_ATTEMPTS = 2


@dataclass(eq=False, slots=True)
class Job:
    """One request's passages."""

    pairs: Sequence[Pair]
    tokens: Sequence[int]
    until: float
    """When nothing more is waited for; infinite where nobody minds."""
    since: float
    """When it came."""
    settled: Callable[[], None]
    """Called once, when nothing more will come."""
    relevance: list[float | None]
    waiting: deque[int]
    """Pairs that nobody reads yet, by index."""
    reading: int = 0
    """Pairs that are being read."""
    begun: bool = False
    over: bool = False
    late: bool = False
    """A pair was left because it would not be read in time."""
    failure: ServiceError | None = None
    deaths: dict[int, int] = field(default_factory=dict)
    """By pair, how often a worker has died over it."""

    def settle(self) -> None:
        """Says so, if nothing more will come."""
        if not self.over and not self.waiting and not self.reading:
            self.over = True
            self.settled()


@dataclass(frozen=True, slots=True)
class Piece:
    """A pair of a job, taken to be read."""

    job: Job
    index: int

    @property
    def pair(self) -> Pair:
        """What is read."""
        return self.job.pairs[self.index]

    @property
    def tokens(self) -> int:
        """About how many it has."""
        return self.job.tokens[self.index]


class Queue:
    """The jobs of one model.

    Args:
        pace: How long reading takes.
        most_tokens: What the model reads of a pair.
    """

    def __init__(self, pace: Pace, most_tokens: int) -> None:
        self.pace = pace
        self._most_tokens = most_tokens
        self._turns: deque[Job] = deque()
        """Jobs with pairs that wait; whose turn it is comes first."""
        self._open: set[Job] = set()
        """Jobs of which more may come."""

    @property
    def jobs(self) -> int:
        """Jobs with pairs that nobody reads yet."""
        return len(self._turns)

    @property
    def fills_a_batch(self) -> bool:
        """True where what waits is as much as is taken together."""
        pairs = sum(len(job.waiting) for job in self._turns)
        return pairs >= BATCH_PAIRS or self.seconds >= BATCH_SECONDS

    @property
    def seconds(self) -> float:
        """What reading all of them would take one worker."""
        return self.pace.seconds(sum(job.tokens[index] for job in self._turns for index in job.waiting))

    def add(self, pairs: Sequence[Pair], now: float, until: float | None, settled: Callable[[], None]) -> Job:
        """A request's passages, the most promising first."""
        job = Job(
            pairs,
            [pair.tokens(self._most_tokens) for pair in pairs],
            math.inf if until is None else until,
            now,
            settled,
            [None] * len(pairs),
            deque(range(len(pairs))),
        )
        self._turns.append(job)
        self._open.add(job)
        return job

    def remove(self, job: Job) -> None:
        """Nobody waits for it any more; what is being read of it is read to the end."""
        job.over = True
        self._open.discard(job)
        job.waiting.clear()
        if job in self._turns:
            self._turns.remove(job)

    def take(self, now: float) -> list[Piece]:
        """What to read next, together; nothing where nothing waits. Of a job that has no time for another pair nothing
        is begun any more."""
        taken: list[Piece] = []
        spent, first_end = 0.0, math.inf
        while self._turns and len(taken) < BATCH_PAIRS:
            job = self._turns[0]
            index = job.waiting[0]
            cost = self.pace.seconds(job.tokens[index])
            if now + cost > job.until:
                self._leave(job)
                continue
            end = now + spent + cost
            alone = index in job.deaths
            if taken and (spent + cost > BATCH_SECONDS or end > min(first_end, job.until) or alone):
                break
            taken.append(Piece(job, job.waiting.popleft()))
            job.reading += 1
            spent, first_end = spent + cost, min(first_end, job.until)
            self._turns.popleft()
            if job.waiting:
                self._turns.append(job)
            if alone:
                break
        return taken

    def read(self, pieces: Sequence[Piece], relevance: Sequence[float]) -> None:
        """Takes what was read."""
        for piece, value in zip(pieces, relevance, strict=True):
            piece.job.reading -= 1
            if not piece.job.over:
                piece.job.relevance[piece.index] = value
                piece.job.settle()

    def give_back(self, pieces: Sequence[Piece]) -> None:
        """There was no time for these."""
        for piece in reversed(pieces):
            piece.job.reading -= 1
            if not piece.job.over:
                self._put_first(piece)

    def failed(self, pieces: Sequence[Piece], failure: ServiceError) -> None:
        """Reading has failed, and would again: the jobs get what they have."""
        for piece in pieces:
            piece.job.reading -= 1
            self._give_up(piece.job, failure)

    def fail(self, failure: ServiceError) -> None:
        """Nobody reads any more: the jobs get what they have."""
        for job in tuple(self._open):
            job.reading = 0
            self._give_up(job, failure)

    def died(self, pieces: Sequence[Piece], failure: ServiceError) -> None:
        """The worker has died over what it read. Each pair is read once more, by itself, since one of them may be to
        blame; a job whose pair is, gets what it has."""
        for piece in reversed(pieces):
            job = piece.job
            job.reading -= 1
            if job.over:
                continue
            job.deaths[piece.index] = job.deaths.get(piece.index, 0) + 1
            if job.deaths[piece.index] >= _ATTEMPTS:
                self._give_up(job, failure)
                continue
            self._put_first(piece)

    def _put_first(self, piece: Piece) -> None:
        piece.job.waiting.appendleft(piece.index)
        if piece.job not in self._turns:
            self._turns.appendleft(piece.job)

    def _leave(self, job: Job) -> None:
        self._turns.popleft()
        job.waiting.clear()
        job.late = True
        job.settle()

    def _give_up(self, job: Job, failure: ServiceError) -> None:
        job.failure = job.failure or failure
        job.waiting.clear()
        if job in self._turns:
            self._turns.remove(job)
        job.settle()
