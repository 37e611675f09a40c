"""BM25's words: stems and stop words of a language, and scripts that put no blanks between words."""

import pytest

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.store.bm25 import SparseEncoder


def words(language: Language, text: str) -> set[int]:
    return set(SparseEncoder(language).question(text).indices)


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        (Language.AUTO, "the houses", "a house"),
        (Language.ENGLISH, "the houses", "a house"),
        (Language.GERMAN, "die Häuser", "das Haus"),
        (Language.FRENCH, "les maisons", "une maison"),
        (Language.SPANISH, "las casas", "una casa"),
        (Language.ITALIAN, "i gatti", "un gatto"),
        (Language.PORTUGUESE, "as casas", "uma casa"),
        (Language.DUTCH, "de huizen", "de huizen"),
    ],
)
def test_words_of_one_stem_are_one_word(language: Language, one: str, other: str) -> None:
    assert words(language, one) == words(language, other)


def test_without_a_language_words_stay_as_they_are() -> None:
    assert len(words(Language.NONE, "the house, the houses")) == 3


@pytest.mark.parametrize(
    ("question", "text"),
    [("首都", "北京是中国的首都"), ("日本", "東京タワーは日本にある"), ("ประเทศ", "ประเทศไทยสวยงาม")],
)
@pytest.mark.parametrize("language", [Language.AUTO, Language.NONE])
def test_a_word_is_found_in_text_without_blanks(language: Language, question: str, text: str) -> None:
    assert words(language, question) <= words(language, text)


def test_english_words_in_such_text_are_the_same_words() -> None:
    assert words(Language.AUTO, "routers") <= words(Language.AUTO, "如何重启 routers")


def test_documents_are_weighed_and_questions_are_not() -> None:
    encoder = SparseEncoder()

    assert {*encoder.question("otter").values} == {1.0}
    assert encoder.document("otter otter").values[0] > encoder.document("otter bee").values[0]
