"""What the passages of an answer say, sentence by sentence, read once for all of its claims."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from sluice_guardrail.domain.claims import sentences
from sluice_guardrail.domain.quantities import Quantity, is_rounded
from sluice_guardrail.domain.quotations import spoken
from sluice_guardrail.domain.words import WordReader, Words

#: A first line of up to so many characters is the passage's title; its words count as said by every sentence.
_LONGEST_TITLE = 200
#: The most of its words that a text in which capitals tell names has capitalised within sentences.
_CAPITALS = 0.4


@dataclass(frozen=True)
class Sentence:
    """One sentence of a passage."""

    passage: int
    text: str
    words: Words

    @cached_property
    def terms(self) -> frozenset[str]:
        """Its content words and numbers."""
        return frozenset(self.words.terms)


class Evidence:
    """All passages of an answer. Not thread-safe.

    Args:
        until: When to give up, by `time.monotonic`.
    """

    def __init__(self, passages: Sequence[str], reader: WordReader, until: float = math.inf) -> None:
        self._passages = passages
        self.titles: list[frozenset[str]] = []
        self.sentences: list[Sentence] = []
        self.by_passage: list[frozenset[str]] = []
        self._holding: dict[str, list[int]] = defaultdict(list)
        self._values: dict[str, list[int]] = defaultdict(list)
        self._pairs: list[frozenset[tuple[str, str]]] = []
        self.complete = True
        """False where it gave up."""
        self._frequency: Counter[str] = Counter()
        for index, passage in enumerate(passages):
            if time.monotonic() >= until:
                self.complete = False
                return
            self._add(index, passage, reader)

    @cached_property
    def tells_names(self) -> bool:
        """Whether capitals tell names here; they do not where most nouns have them, as in German."""
        shares = [sentence.words.capitals for sentence in self.sentences if len(sentence.words.terms) > 1]
        return sum(shares) <= _CAPITALS * len(shares)

    def says(self, text: str, passages: Iterable[int]) -> bool:
        """Whether one of the passages has a text word for word."""
        words = spoken(text)
        return any(words in self._spoken[index] for index in passages)

    @cached_property
    def _spoken(self) -> list[str]:
        return [spoken(passage) for passage in self._passages]

    def weight(self, term: str) -> float:
        """How much a term tells: the fewer sentences hold it, the more (BM25's IDF, never below 0.1)."""
        total, held = len(self.sentences), self._frequency[term]
        return max(0.1, math.log(1 + (total - held + 0.5) / (held + 0.5)))

    def holding(self, term: str) -> Sequence[int]:
        """The sentences that hold a term."""
        return self._holding.get(term, ())

    def holding_value(self, quantity: Quantity) -> Sequence[int]:
        """The sentences that hold a number, in another spelling or with more digits."""
        found = [*self._values.get(quantity.value, ()), *self._values.get(quantity.scaled, ())]
        for value, holding in self._values.items():
            if is_rounded(quantity.value, value, rough=quantity.rough):
                found += holding
        return found

    def has_pair(self, pair: tuple[str, str], passages: Iterable[int]) -> bool:
        """Whether two content words stand side by side in one of the passages."""
        return any(pair in self._pairs[index] for index in passages)

    def _add(self, index: int, passage: str, reader: WordReader) -> None:
        title, _, rest = passage.partition("\n")
        first = reader.read(title) if rest and len(title) <= _LONGEST_TITLE else None
        self.titles.append(frozenset(first.terms) if first else frozenset())
        together: set[str] = set()
        pairs: set[tuple[str, str]] = set()
        for span in sentences(passage):
            text = passage[span.start : span.end]
            sentence = Sentence(index, text, reader.read(text))
            for term in sentence.terms:
                self._holding[term].append(len(self.sentences))
            for quantity in sentence.words.quantities:
                for value in filter(None, (quantity.value, quantity.scaled)):
                    self._values[value].append(len(self.sentences))
            together |= sentence.terms
            self._frequency.update(sentence.terms)
            pairs.update(pairwise(sentence.words.terms))
            self.sentences.append(sentence)
        self.by_passage.append(frozenset(together))
        self._pairs.append(frozenset(pairs))
