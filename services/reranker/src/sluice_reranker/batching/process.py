"""A worker process, as its parent has it. Everything here blocks: it belongs in a thread."""

import multiprocessing
from collections.abc import Sequence

from sluice_reranker.batching import worker
from sluice_reranker.batching.pairs import Load, Pair
from sluice_servicekit.errors import FailedPrecondition

#: Seconds that loading a model, and reading what is taken together, may take; a process that takes longer hangs.
LOADING_SECONDS, READING_SECONDS = 300.0, 30.0


class WorkerDied(Exception):
    """The process is gone, or does not answer and was ended."""


class WorkerProcess:
    """A process that has loaded a model.

    Args:
        load: Loads it; pickled.
        core: The only core that it runs on; any where there is none.

    Raises:
        FailedPrecondition: the model cannot be used, or the process has died of it.
    """

    def __init__(self, load: Load, core: int | None) -> None:
        context = multiprocessing.get_context(
            "spawn"
        )  # a fork would copy gRPC's threads in an undefined state
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.run, args=(theirs, load, core), name="reranking", daemon=True
        )
        self._process.start()
        theirs.close()  # only so does the end of the process end the pipe
        try:
            loaded = self._reply(LOADING_SECONDS)
        except WorkerDied as error:
            raise FailedPrecondition(
                f"the process that was to load the ranker's model has ended ({self._process.exitcode}): "
                "it may need more memory than there is",
                reason="RANKER_UNFIT",
            ) from error
        if not isinstance(loaded, worker.Loaded):
            self.end()
            raise _error(loaded)
        self.loaded = loaded

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid or 0

    def read(self, pairs: Sequence[Pair], seconds: float) -> worker.Read:
        """What the model says of the first pairs, of as many as it begins in so many seconds; of one at least.

        Raises:
            WorkerDied: it cannot say any more.
            FailedPrecondition: the model fails.
        """
        try:
            self._connection.send(worker.Batch(pairs, seconds))
        except OSError as error:
            self.end()
            raise WorkerDied from error
        reply = self._reply(READING_SECONDS)
        if not isinstance(reply, worker.Read):
            raise _error(reply)
        return reply

    def kill(self) -> None:
        """Has whoever waits for an answer learn that there is none."""
        self._process.kill()

    def end(self) -> None:
        """Ends the process, and lets go of it."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _reply(self, seconds: float) -> object:
        try:
            if self._connection.poll(seconds):
                return self._connection.recv()
        except (EOFError, OSError) as error:
            self.end()
            raise WorkerDied from error
        self.end()
        raise WorkerDied


def _error(reply: object) -> FailedPrecondition:
    if isinstance(reply, worker.Failed):
        return FailedPrecondition(reply.message, reason=reply.reason)
    return FailedPrecondition("the ranker's process says what nobody understands", reason="RANKER_UNFIT")
