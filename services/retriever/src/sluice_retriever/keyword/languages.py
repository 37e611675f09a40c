"""How keyword stores cut text into words: which stop words and stems, by language."""

from dataclasses import dataclass
from typing import Any

import tantivy

from sluice_api.objects.knowledge_base import Language


@dataclass(frozen=True, slots=True)
class _Names:
    """What the engines call a language's parts."""

    tantivy: str
    stop_words: str
    stemmer: str
    """Of the language's built-in analyzer in Lucene."""
    before: tuple[dict[str, Any], ...] = ()
    """Filters ahead of the stop words."""


_POSSESSIVE = {"type": "stemmer", "language": "possessive_english"}
_FRENCH_ELISION = {
    "type": "elision",
    "articles_case": True,
    "articles": "l m t qu n s j d c jusqu quoiqu lorsqu puisqu".split(),
}
_ITALIAN_ELISION = {
    "type": "elision",
    "articles_case": True,
    "articles": ("c l all dall dell nell sull coll pell gl agl dagl degl negl sugl un m t s v d".split()),
}

_NAMES = {
    Language.ENGLISH: _Names("english", "_english_", "english", (_POSSESSIVE,)),
    Language.GERMAN: _Names("german", "_german_", "light_german"),
    Language.FRENCH: _Names("french", "_french_", "light_french", (_FRENCH_ELISION,)),
    Language.SPANISH: _Names("spanish", "_spanish_", "light_spanish"),
    Language.ITALIAN: _Names("italian", "_italian_", "light_italian", (_ITALIAN_ELISION,)),
    Language.PORTUGUESE: _Names("portuguese", "_portuguese_", "light_portuguese"),
    Language.DUTCH: _Names("dutch", "_dutch_", "dutch"),
}

#: Longer runs of letters are no words.
_LONGEST_WORD = 255


def resolved(language: Language) -> Language:
    """The language that an index is made for: it has one, so `auto` is English."""
    return Language.ENGLISH if language is Language.AUTO else language


def tantivy_analyzer(language: Language) -> tantivy.TextAnalyzer:
    """Words in lower case and without accents, stop words left out, stemmed."""
    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(_LONGEST_WORD))
        .filter(tantivy.Filter.lowercase())
    )
    if names := _NAMES.get(resolved(language)):
        builder = builder.filter(tantivy.Filter.stopword(names.tantivy)).filter(
            tantivy.Filter.stemmer(names.tantivy)
        )
    # Last: stop words and stems are known with their accents.
    return builder.filter(tantivy.Filter.ascii_fold()).build()


def server_analysis(language: Language, name: str) -> dict[str, Any]:
    """The same for a search server: its `analysis` settings, with the analyzer under `name`."""
    filters: dict[str, dict[str, Any]] = {}
    chain = ["lowercase"]
    if names := _NAMES.get(resolved(language)):
        parts = (
            *names.before,
            {"type": "stop", "stopwords": names.stop_words},
            {"type": "stemmer", "language": names.stemmer},
        )
        filters = {f"{name}_{place}": part for place, part in enumerate(parts)}
        chain += filters
    analyzer = {"type": "custom", "tokenizer": "standard", "filter": [*chain, "asciifolding"]}
    return {"filter": filters, "analyzer": {name: analyzer}}
