"""BM25's weights by Qdrant's own tokenizer, for whichever engine stores them."""

import re

import qdrant_edge as edge
from qdrant_client import models

from sluice_api.objects.knowledge_base import Language

#: BM25's average length in words that count; a chunk has some 200 model tokens.
_AVERAGE_WORDS = 90.0

#: Scripts that put no blanks between words: Thai, Lao, Burmese, Khmer, kana, Han. Their text is cut by Charabia. Others
#: are not: on English collections it changes a tenth of the tokens and costs up to a point of nDCG.
_WITHOUT_BLANKS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)


class SparseEncoder:
    """Texts to BM25 vectors; the engine adds the IDF.

    Args:
        language: Whose stop words and stems it knows.
    """

    def __init__(self, language: Language = Language.AUTO) -> None:
        self._words = _bm25(language, edge.TokenizerType.Word)
        self._characters = _bm25(language, edge.TokenizerType.Multilingual)

    def document(self, text: str) -> models.SparseVector:
        """A document's weights."""
        return _sparse(self._for(text).embed_document(text))

    def question(self, text: str) -> models.SparseVector:
        """A question's."""
        return _sparse(self._for(text).embed_query(text))

    def _for(self, text: str) -> edge.Bm25:
        return self._characters if _WITHOUT_BLANKS.search(text) else self._words


def _bm25(language: Language, tokenizer: edge.TokenizerType) -> edge.Bm25:
    if language is Language.NONE:
        plain = edge.Bm25Config(
            avg_len=_AVERAGE_WORDS,
            tokenizer=tokenizer,
            stemmer=edge.DisabledStemmer(),
            stopwords=edge.StopwordsSet(),
        )
        return edge.Bm25(plain)
    name = Language.ENGLISH if language is Language.AUTO else language
    return edge.Bm25(edge.Bm25Config(avg_len=_AVERAGE_WORDS, tokenizer=tokenizer, language=name))


def _sparse(vector: edge.SparseVector) -> models.SparseVector:
    return models.SparseVector.model_construct(indices=list(vector.indices), values=list(vector.values))
