"""What of passages and earlier turns a prompt has room for. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sluice_api.objects.prompt import PassageOrder, Prompt
from sluice_inference.domain.counting import Counter, of_messages
from sluice_inference.domain.model import Message, Passage
from sluice_lexical import datamarks

Turn = tuple[Message, ...]

#: A passage as it stands in a prompt, by its number.
Shown = Callable[[int, Passage], str]

_SENTENCE_END = re.compile(rf"[.!?…]+[\"'”’»)\]]*(?=[\s{datamarks.SIGN}])|[。！？]+[」』”]*|\n+")
_BLANK = re.compile(rf"[\s{datamarks.SIGN}]+")


@dataclass(frozen=True, slots=True)
class Packed:
    """What there is room for."""

    passages: tuple[Passage, ...]
    """The best ones, by rank; the last may be cut."""
    turns: tuple[Turn, ...]
    """The newest ones, oldest first."""
    left_out: int = 0
    """Turns that there is no room for."""

    def is_all(self, passages: Sequence[Passage]) -> bool:
        """Whether nothing was cut or left out."""
        return not self.left_out and self.passages == tuple(passages)


def turns(messages: Sequence[Message]) -> tuple[tuple[Turn, ...], Turn]:
    """The earlier turns of a conversation, and the last: its question with all that follows it. A turn goes from one
    user message to the next, so that calls of tools stay with their results."""
    begins = [index for index, message in enumerate(messages) if message.role == "user"]
    bounds = sorted({0, *begins, len(messages)})
    parts = [tuple(messages[start:end]) for start, end in pairwise(bounds)]
    return tuple(parts[:-1]), parts[-1] if parts else ()


def budget(prompt: Prompt, context: int | None, max_tokens: int | None, *, exact: bool) -> int | None:
    """The most tokens of a prompt; None where nothing bounds it.

    Args:
        context: What the model holds, prompt and answer; None where that is not known.
        max_tokens: The most that the answer may have; a quarter of the context, up to 1024, when None.
        exact: The tokens are counted by the model's own tokenizer.
    """
    bounds = [] if prompt.max_prompt_tokens is None else [prompt.max_prompt_tokens]
    if context is not None:
        answer = min(1024, context // 4) if max_tokens is None else max_tokens
        bounds.append(context - answer - max(16, context // (200 if exact else 50)))
    return min(bounds, default=None)


def pack(
    prompt: Prompt,
    passages: Sequence[Passage],
    earlier: Sequence[Turn],
    room: int | None,
    count: Counter,
    shown: Shown,
) -> Packed:
    """What there is room for: `minPassages`, then the newest turns, then the other passages, best first.

    Args:
        room: Tokens that are left for them; None where there is no limit.
    """
    if prompt.max_passage_tokens is not None:
        most = prompt.max_passage_tokens
        passages = [_cut(each, most, lambda part: count(part.text), words=True) or each for each in passages]
    if room is None and prompt.max_history_tokens is None:
        return Packed(tuple(passages), tuple(earlier))
    costs = [count(shown(number, passage)) + 1 for number, passage in enumerate(passages, start=1)]
    lengths = [of_messages(turn, count) for turn in earlier]
    if room is None:
        room = sum(costs) + sum(lengths)
    first, left = _fill(passages, costs, 0, prompt.min_passages, room, count, shown)
    rest = sum(costs[len(first) :])
    most = max(left // 2, left - rest) if prompt.max_history_tokens is None else prompt.max_history_tokens
    kept = _newest(lengths, min(left, most))
    left -= sum(lengths[len(earlier) - kept :])
    whole = first == list(passages[: prompt.min_passages])
    more = _fill(passages, costs, len(first), len(passages), left, count, shown)[0] if whole else []
    return Packed((*first, *more), tuple(earlier[len(earlier) - kept :]), len(earlier) - kept)


def arranged(count: int, order: PassageOrder) -> list[int]:
    """In which order so many passages stand in a prompt, by their numbers."""
    numbers = list(range(1, count + 1))
    if order is PassageOrder.REVERSED:
        return numbers[::-1]
    if order is PassageOrder.EDGES:
        return numbers[::2] + numbers[1::2][::-1]
    return numbers


def _fill(
    passages: Sequence[Passage],
    costs: Sequence[int],
    start: int,
    end: int,
    room: int,
    count: Counter,
    shown: Shown,
) -> tuple[list[Passage], int]:
    """Passages from one up to another as far as there is room, the last one cut; and the room that is left."""
    taken: list[Passage] = []
    for index in range(start, min(end, len(passages))):
        if costs[index] > room:

            def cost(part: Passage, number: int = index + 1) -> int:
                return count(shown(number, part)) + 1

            part = _cut(passages[index], room, cost, words=index == 0)  # the best one is better than none
            return ([*taken, part], room - cost(part)) if part is not None else (taken, room)
        taken.append(passages[index])
        room -= costs[index]
    return taken, room


def _newest(lengths: Sequence[int], room: int) -> int:
    """How many of the last turns there is room for, without a gap."""
    kept = 0
    for length in reversed(lengths):
        if length > room:
            break
        room -= length
        kept += 1
    return kept


def _cut(passage: Passage, most: int, count: Callable[[Passage], int], *, words: bool) -> Passage | None:
    """The passage, or as much of its beginning as has no more tokens than `most`, up to the end of a sentence and
    marked as cut; None where no sentence is that short. With `words`, up to the end of a word then."""
    if count(passage) <= most:
        return passage
    text = passage.text
    ends = [sentence.end for sentence in passage.sentences if 0 < sentence.end < len(text)]
    ends = ends or [match.end() for match in _SENTENCE_END.finditer(text) if match.end() < len(text)]
    best = _longest(passage, ends, most, count)
    if best is None and words:
        best = _longest(passage, [match.start() for match in _BLANK.finditer(text)][1:], most, count)
    return best


def _longest(
    passage: Passage, ends: Sequence[int], most: int, count: Callable[[Passage], int]
) -> Passage | None:
    """The longest part up to one of these places that has no more tokens than `most`."""
    low, high = 0, len(ends)
    best: Passage | None = None
    while low < high:
        middle = (low + high) // 2
        part = replace(passage, text=f"{passage.text[: ends[middle]].rstrip()} {datamarks.OMISSION}")
        if count(part) <= most:
            best, low = part, middle + 1
        else:
            high = middle
    return best
