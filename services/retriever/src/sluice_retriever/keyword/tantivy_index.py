"""One tenant's index in Tantivy. Synchronous; its calls release the interpreter's lock while they work."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tantivy

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.keyword import languages
from sluice_retriever.keyword.question import Question
from sluice_retriever.keyword.store import Entry, Hits

_LOG = logging.getLogger(__name__)

_POINT, _WRITE, _TEXT = "point", "write", "text"
_ANALYZER = "sluice"

#: Bytes that a writer holds before it writes a segment; the least that Tantivy allows for a thread.
_HEAP = 15_000_000


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(_POINT, stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(_WRITE, tokenizer_name="raw", index_option="basic")
    # Title and text are one field: scored apart they rank SciFact's training claims worse.
    builder.add_text_field(_TEXT, tokenizer_name=_ANALYZER)
    return builder.build()


class TantivyIndex:
    """The entries of one tenant. What is here is derived: a directory that cannot be read is made anew, empty.

    Searches may come from several threads; writes from one at a time.
    """

    def __init__(self, directory: Path, language: Language) -> None:
        self._schema = _schema()
        self._analyzer = languages.tantivy_analyzer(language)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            self._index = self._open(directory)
        except (ValueError, OSError) as error:
            _LOG.warning("the keyword index in %s cannot be read and is made anew: %s", directory, error)
            shutil.rmtree(directory)
            directory.mkdir()
            self._index = self._open(directory)
        self._writer: tantivy.IndexWriter | None = None

    def write(self, entries: Sequence[Entry]) -> None:
        """Writes entries in place of those with the same ids; one commit, on disk once it returns."""
        with self._transaction() as writer:
            for entry in entries:
                writer.delete_documents_by_term(_POINT, entry.point_id)
                text = f"{entry.title}\n{entry.text}"
                fields = {_POINT: entry.point_id, _WRITE: entry.write_id, _TEXT: text}
                writer.add_document(tantivy.Document(**fields))

    def delete_writes(self, write_ids: Sequence[str]) -> None:
        """Removes the entries of these writes."""
        with self._transaction() as writer:
            for write_id in write_ids:
                writer.delete_documents_by_term(_WRITE, write_id)

    def search(self, question: Question, limit: int) -> Hits:
        """The best entries by BM25, with this tenant's own word frequencies."""
        query = self._query(question)
        if query is None:
            return []
        searcher = self._index.searcher()
        found = searcher.search(query, limit, count=False)
        return [(str(searcher.doc(address)[_POINT][0]), float(score)) for score, address in found.hits]

    def count(self) -> int:
        """How many entries there are."""
        return self._index.searcher().num_docs

    def writes(self) -> dict[str, int]:
        """Entries by write."""
        # Without a filter the terms of deleted entries are listed too.
        everything = tantivy.Query.all_query()
        return dict(self._index.searcher().terms_with_prefix(_WRITE, "", filter_query=everything))

    def close_writer(self) -> None:
        """Waits for merges and gives back the writer's memory."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.wait_merging_threads()

    def _open(self, directory: Path) -> tantivy.Index:
        index = tantivy.Index(self._schema, path=str(directory))
        index.register_tokenizer(_ANALYZER, self._analyzer)
        index.config_reader("manual")  # else a thread for each index watches its files
        return index

    @contextmanager
    def _transaction(self) -> Iterator[tantivy.IndexWriter]:
        if self._writer is None:
            self._writer = self._index.writer(_HEAP, 1)
        try:
            yield self._writer
            self._writer.commit()
        except BaseException:
            self._writer.rollback()
            raise
        self._index.reload()

    def _query(self, question: Question) -> tantivy.Query | None:
        words = dict.fromkeys(self._analyzer.analyze(question.words))
        if not words:
            return None
        any_word = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, _TEXT, word)) for word in words
        ]
        phrases = [(tantivy.Occur.Must, phrase) for phrase in map(self._phrase, question.phrases) if phrase]
        return tantivy.Query.boolean_query(any_word + phrases)

    def _phrase(self, phrase: str) -> tantivy.Query | None:
        # Positions and not only words: where a stop word was, any one word may stand.
        tokens = self._analyzer.pre_tokenize(phrase).tokens
        if len(tokens) > 1:
            words: list[str | tuple[int, str]] = [(token.position, token.text) for token in tokens]
            return tantivy.Query.phrase_query(self._schema, _TEXT, words)
        return tantivy.Query.term_query(self._schema, _TEXT, tokens[0].text) if tokens else None
