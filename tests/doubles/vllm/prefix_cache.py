"""The KV cache's whole blocks, by what they were computed from: the adapter and every token up to their end."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence


class PrefixCache:
    """Blocks, the least recently used first to go."""

    def __init__(self, block_size: int, num_blocks: int) -> None:
        self._size = block_size
        self._most = num_blocks
        self._blocks: OrderedDict[Hashable, None] = OrderedDict()

    def hit(self, of: Hashable, tokens: Sequence[int]) -> int:
        """Tokens that need not be computed; the last is always computed."""
        blocks = 0
        for key in self._keys(of, tokens[:-1]):
            if key not in self._blocks:
                break
            self._blocks.move_to_end(key)
            blocks += 1
        return blocks * self._size

    def keep(self, of: Hashable, tokens: Sequence[int]) -> None:
        """Remembers what has been computed."""
        for key in self._keys(of, tokens):
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) > self._most:
            self._blocks.popitem(last=False)

    def _keys(self, of: Hashable, tokens: Sequence[int]) -> Iterator[Hashable]:
        before: Hashable = of
        for start in range(0, len(tokens) - self._size + 1, self._size):
            before = hash((before, tuple(tokens[start : start + self._size])))
            yield before
