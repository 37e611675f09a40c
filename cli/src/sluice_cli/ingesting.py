"""Documents on their way into a knowledge base: read, sent in batches, counted as they are stored.

What was stored once is left alone when it comes again unchanged, so whatever breaks an ingestion off, the same
command goes on where it stopped.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock
from urllib.parse import quote

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from sluice_cli import documents, urls
from sluice_cli.client import Api, Json
from sluice_cli.documents import Document, Found, Unreadable
from sluice_cli.errors import CommandError
from sluice_cli.ingestion_progress import Progress
from sluice_cli.labelling import Labelling

#: Documents and bytes of one request: large enough that the model's batches are full.
_BATCH, _BATCH_BYTES = 64, 1 << 20
#: Requests at the same time: while one's documents are encoded, the next one's are read and parsed.
_IN_FLIGHT = 2
#: Seconds that a gateway which answered before may be away.
_PATIENCE = 90.0
#: Seconds that a retriever may take to start.
_START_PATIENCE = 30.0


@dataclass
class Ingested:
    """What became of the documents."""

    files: int
    urls: int = 0
    accepted: int = 0
    """Stored or unchanged."""
    unchanged: int = 0
    chunks: int = 0
    """Of those that were stored now."""
    removed: int = 0
    """Documents whose files are gone, where that was asked for."""
    failed: list[dict[str, str]] = field(default_factory=list)
    """Of each that failed its `id` and the `reason`."""
    flags: list[Json] = field(default_factory=list)
    """What policies flag in documents that were stored; each with the document's `id`."""
    unscreened: list[dict[str, str]] = field(default_factory=list)
    """Of each that was stored and could not be screened its `id` and the `reason`."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Files of kinds that cannot be ingested, by suffix."""
    seconds: float = 0.0


class Ingestion:
    """One ingestion. Its counts hold at any moment, whatever ends it."""

    def __init__(
        self, api: Api, knowledge_base: str, found: Found, labelling: Labelling = Labelling()
    ) -> None:
        self._api = api
        self._labelling = labelling
        self._path = documents_path(knowledge_base)
        self._found = found
        self._lock = Lock()
        self._ended = Event()
        self.outcome = Ingested(
            len(found.files), len(found.urls), left_out=dict(found.left_out.most_common())
        )

    def check(self) -> None:
        """Shows what is wrong with address, key or knowledge base before any work. A retriever that is just starting
        is waited for; a gateway is not.

        Raises:
            CommandError: with what is wrong.
        """
        self._api.get("/healthz")
        for attempt in _retrying(self._may_return, _START_PATIENCE, lambda: None):
            with attempt:
                self._api.get(self._path, limit=1)

    def run(self, progress: Progress) -> Ingested:
        """Sends all documents; what fails is collected and the rest goes on.

        Raises:
            CommandError: the gateway refuses a whole batch, or is away for too long.
        """
        started = time.monotonic()
        threads = ThreadPoolExecutor(_IN_FLIGHT, "ingest")
        try:
            self._send_all(threads, progress)
        finally:
            self._ended.set()
            threads.shutdown(cancel_futures=True)
            self.outcome.seconds = round(time.monotonic() - started, 3)
        return self.outcome

    def _send_all(self, threads: ThreadPoolExecutor, progress: Progress) -> None:
        for unreadable in self._found.unreadable:
            self._note_failed(unreadable.id, unreadable.reason)
        sending: set[Future[None]] = set()
        for batch in documents.batches(self._readable(progress), _BATCH, _BATCH_BYTES):
            sending.add(threads.submit(self._send, batch, progress))
            if len(sending) > _IN_FLIGHT:
                done, sending = wait(sending, return_when=FIRST_COMPLETED)
                _raise_first(done)
        _raise_first(wait(sending).done)

    def _readable(self, progress: Progress) -> Iterator[Document]:
        for url in self._found.urls:
            yield self._labelling.apply(urls.document(url))
        for file in self._found.files:
            for document in documents.read(file):
                if isinstance(document, Unreadable):
                    self._note_failed(document.id, document.reason)
                    progress.advance(document.size, self.outcome)
                else:
                    yield self._labelling.apply(document)

    def _send(self, batch: Sequence[Document], progress: Progress) -> None:
        waiting = {document.id: document for document in batch}
        for attempt in _retrying(self._may_return, _PATIENCE, progress.waiting):
            with attempt:
                self._send_once(list(waiting.values()), self._settling(waiting, progress))

    def _send_once(self, batch: Sequence[Document], settle: Callable[[Json], None]) -> None:
        for event in self._api.events(self._path, {"documents": [document.body for document in batch]}):
            if event["type"] == "document":
                settle(event)
            if self._ended.is_set():  # Ctrl-C, or another batch failed for good
                return

    def _settling(self, waiting: dict[str, Document], progress: Progress) -> Callable[[Json], None]:
        def settle(event: Json) -> None:
            name = event["id"]
            if event["outcome"] == "in_progress":
                progress.part(name, event["chunks"], event["total_chunks"])
                return
            document = waiting.pop(name, None)
            with self._lock:
                self.outcome.flags += ({"id": name, **flag} for flag in event.get("flags", ()))
                if reason := event.get("unscreened"):
                    self.outcome.unscreened.append({"id": name, "reason": reason})
                match event["outcome"]:
                    case "refused":
                        self.outcome.failed.append({"id": name, "reason": event["reason"]})
                    case "unchanged":
                        self.outcome.accepted += 1
                        self.outcome.unchanged += 1
                    case _:
                        self.outcome.accepted += 1
                        self.outcome.chunks += event["chunks"]
            progress.advance(document.size if document else 0, self.outcome)

        return settle

    def _may_return(self, error: BaseException) -> bool:
        return isinstance(error, CommandError) and error.passing and not self._ended.is_set()

    def _note_failed(self, name: str, reason: str) -> None:
        with self._lock:
            self.outcome.failed.append({"id": name, "reason": reason})


def _retrying(
    passing: Callable[[BaseException], bool], seconds: float, waiting: Callable[[], None]
) -> Retrying:
    return Retrying(
        retry=retry_if_exception(passing),
        stop=stop_after_delay(seconds),
        wait=wait_exponential_jitter(multiplier=0.2, max=3.0, jitter=0.3),
        before_sleep=lambda _: waiting(),
        reraise=True,
    )


def documents_path(knowledge_base: str) -> str:
    """Where the gateway keeps a knowledge base's documents."""
    return f"/v1/knowledge/{quote(knowledge_base, safe='')}/documents"


def ids_below(api: Api, knowledge_base: str, prefix: str) -> Iterator[str]:
    """The ids of the stored documents that start with a prefix."""
    path = documents_path(knowledge_base)
    after: str | None = ""
    while after is not None:
        page = api.get(path, limit=1000, prefix=prefix, after=after)
        yield from (document["id"] for document in page["documents"])
        after = page["next"]


def delete(api: Api, knowledge_base: str, document_id: str) -> None:
    """Removes a document.

    Raises:
        CommandError: there is none of that id.
    """
    api.delete(f"{documents_path(knowledge_base)}/{quote(document_id, safe='')}")


def _raise_first(done: set[Future[None]]) -> None:
    for future in done:
        future.result()
