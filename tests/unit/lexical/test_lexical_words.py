"""Words as services compare them."""

from sluice_lexical.words import count, coverage, rarity, split, stems, terms


def test_terms_are_stemmed_and_without_stop_words():
    assert terms("What happens to the changed gates?") == terms("changing GATE")


def test_rare_words_tell_more():
    texts = [frozenset(terms(text)) for text in ("gate and press", "gate and kiln", "gate")]
    weights = rarity(terms("gate press"), texts)
    gate, press = terms("gate press")
    assert weights[press] > weights[gate] >= 0


def test_coverage_is_a_share():
    wanted = {"a": 1.0, "b": 3.0}
    assert coverage(wanted, frozenset("b")) == 0.75
    assert coverage(wanted, frozenset("ab")) == 1.0
    assert coverage({}, frozenset("a")) == 0.0


def test_count_counts_words_and_signs():
    assert count("Hello, world!") == 4


def test_words_of_a_text_and_their_stems_are_its_terms():
    text = "How are the Presses' oils changed? It's pressing; 12 bars."
    by_word = stems(split(text))
    assert [by_word[word] for word in split(text) if word in by_word] == terms(text)
    assert "the" not in by_word
