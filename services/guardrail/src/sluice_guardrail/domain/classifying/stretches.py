"""Cuts a text into overlapping stretches of so many tokens."""

from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer

from sluice_guardrail.domain.model import Span

#: Tokens of a stretch, without [CLS] and [SEP]; tokens from the start of one to the start of the next.
SIZE, STRIDE = 62, 48
#: The tokenizer takes a long run without a break for one token; it is cut into pieces of this many characters.
_LONGEST = 100


def stretches(text: str, tokenizer: Tokenizer, size: int = SIZE, stride: int = STRIDE) -> list[Span]:
    """Spans that cover the text, each of `size` tokens at most, in order. None for a text without tokens."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    pieces = list(_pieces(encoding.offsets))
    if not pieces:
        return []
    firsts = range(0, max(len(pieces) - size, 0) + stride, stride) if len(pieces) > size else (0,)
    return [Span(pieces[first][0], pieces[min(first + size, len(pieces)) - 1][1]) for first in firsts]


def _pieces(offsets: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in offsets:
        for at in range(start, end, _LONGEST):
            yield at, min(at + _LONGEST, end)
