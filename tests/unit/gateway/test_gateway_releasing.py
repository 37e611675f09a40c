"""Log probabilities beside the text that they spell."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.pieces import Delta, Logprob
from sluice_gateway.domain.releasing import Spelling
from sluice_gateway.domain.written import spelled


def _logprobs(*tokens: str) -> tuple[Logprob, ...]:
    return tuple(Logprob(token, -1.0) for token in tokens)


def _tokens(logprobs: tuple[Logprob, ...]) -> list[str]:
    return [logprob.token for logprob in logprobs]


def test_tokens_that_do_not_spell_the_text_are_left_out():
    assert _tokens(spelled("It is", _logprobs("It", " is", "</s>"))) == ["It", " is"]
    assert _tokens(spelled("", _logprobs("<tool_call>", "{"))) == []
    assert _tokens(spelled("ab", _logprobs("x", "ab"))) == []
    # A character that needs several tokens, as vLLM tells of it.
    assert _tokens(spelled("\ufffd|", _logprobs("", "|"))) == ["", "|"]


@given(
    pieces=st.lists(st.text("ab c", min_size=0, max_size=4), max_size=8),
    cuts=st.lists(st.integers(0, 40), max_size=6),
)
def test_text_that_leaves_in_any_windows_has_every_token_once(pieces: list[str], cuts: list[int]):
    spelling = Spelling()
    for piece in pieces:
        spelling.hear(Delta(piece, logprobs=_logprobs(piece)))
    text = "".join(pieces)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    left = [
        Delta(each) if isinstance(each, str) else each
        for start, end in pairwise(places)
        for each in spelling.leave(text[start:end])
    ]
    assert "".join(delta.text for delta in left) == text
    assert [token for delta in left for token in _tokens(delta.logprobs) if token] == [p for p in pieces if p]


def test_what_comes_after_a_change_has_none():
    spelling = Spelling()
    for piece in ("My ", "name ", "is ", "Ann."):
        spelling.hear(Delta(piece, logprobs=_logprobs(piece)))
    left = [*spelling.leave("My "), *spelling.leave("[NAME_1] "), *spelling.leave("is Ann.")]
    assert left == [Delta("My ", logprobs=_logprobs("My ")), "[NAME_1] ", "is Ann."]
