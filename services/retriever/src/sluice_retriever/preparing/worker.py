"""The worker process: one document after another, within bounds of memory and time."""

import logging
import os
import resource
import signal

from sluice_minilm.tokenizing import TokenCounter
from sluice_retriever.domain import documents
from sluice_retriever.domain.chunking import Budget, chunk
from sluice_retriever.domain.model import Document, Prepared
from sluice_retriever.preparing.parsers.parsed import Unparsable
from sluice_retriever.preparing.parsers.registry import parse
from sluice_retriever.worker_process import tie_to

_LOG = logging.getLogger(__name__)

# A pool's functions have no object to live on.
_counters: list[TokenCounter] = []


def start(parent: int, memory_bytes: int) -> None:
    """Bounds the process: what a file makes it allocate beyond `memory_bytes` fails here, not on the machine."""
    tie_to(parent)
    os.environ["RAYON_NUM_THREADS"] = "1"  # the tokenizer's; the cores are the encoder's
    _counters.append(TokenCounter())
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def prepare(document: Document, budget: Budget, seconds: float) -> Prepared:
    """Parses and cuts a document; whatever is wrong with it is its refusal.

    Raises:
        MemoryError: it needs more than the process may hold, which is of little use from then on.
    """
    # Unhandled, the alarm ends the process: C code that runs away hears no exception.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return _prepare(document, budget)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _prepare(document: Document, budget: Budget) -> Prepared:
    [count_tokens] = _counters
    try:
        parsed = parse(document)
        title = (document.title or parsed.title)[: documents.MAX_TITLE_CHARACTERS]
        chunks = tuple(chunk(title, parsed.blocks, budget, count_tokens))
    except Unparsable as error:
        return Prepared(refusal=str(error))
    except MemoryError:
        raise
    except RecursionError:
        return Prepared(refusal="nested too deeply to be read")
    except Exception as error:
        _LOG.exception("a parser failed")
        return Prepared(refusal=f"cannot be read: {type(error).__name__}")
    if not chunks:
        return Prepared(refusal="text holds no words")
    if refusal := _too_much(sum(len(each.text) for each in chunks)):
        return Prepared(refusal=refusal)
    return Prepared(title, chunks)


def _too_much(characters: int) -> str:
    # Chunks overlap, so that a text just within its limit may come to more here.
    if characters <= 2 * documents.MAX_TEXT_BYTES:
        return ""
    return f"text is larger than {documents.MAX_TEXT_BYTES >> 20} MiB; split the document"
