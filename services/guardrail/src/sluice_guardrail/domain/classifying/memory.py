"""What classifiers said of texts, remembered by the texts' digests."""

import hashlib
import json
from threading import Lock
from typing import Protocol

from cachetools import LRUCache

from sluice_guardrail.domain.model import Detection, Finding, Span


class Store(Protocol):
    """Keeps what must survive the process. Thread-safe; may forget."""

    def get(self, key: bytes) -> bytes | None:
        """What was put, if it is still there."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Keeps a value."""
        ...


class Memory:
    """Detections of whole texts; never the texts. Thread-safe.

    Args:
        entries: How many are held at once; the least recently used one goes first.
        store: Where lasting ones are kept too.
    """

    def __init__(self, entries: int = 10_000, store: Store | None = None) -> None:
        self._held: LRUCache[bytes, Detection] = LRUCache(entries)
        self._lock = Lock()
        self._store = store

    def get(self, key: bytes, *, lasting: bool) -> Detection | None:
        """What was remembered.

        Args:
            lasting: The store is asked, too.
        """
        with self._lock:
            found = self._held.get(key)
        if found is not None or not lasting or self._store is None:
            return found
        kept = self._store.get(key)
        if kept is None:
            return None
        found = _read(kept)
        self._hold(key, found)
        return found

    def put(self, key: bytes, detection: Detection, *, lasting: bool) -> None:
        """Remembers a detection of a text that was read whole."""
        self._hold(key, detection)
        if lasting and self._store is not None:
            self._store.put(key, _written(detection))

    def _hold(self, key: bytes, detection: Detection) -> None:
        with self._lock:
            self._held[key] = detection


def key(text: str, *circumstances: object) -> bytes:
    """Names a text, and what else the detection depends on."""
    digest = hashlib.sha256(repr(circumstances).encode())
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _written(detection: Detection) -> bytes:
    found = [
        (each.category, each.score, each.span.start, each.span.end, each.view) for each in detection.findings
    ]
    return json.dumps([detection.score, found]).encode()


def _read(content: bytes) -> Detection:
    score, found = json.loads(content)
    return Detection(
        tuple(Finding(category, own, Span(start, end), view) for category, own, start, end, view in found),
        score,
    )
