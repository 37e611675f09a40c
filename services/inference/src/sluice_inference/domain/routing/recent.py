"""What was used last, of a bounded number. Pure."""

from collections.abc import Hashable, Iterable


class Recent:
    """A set that forgets what has not been used for longest."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: dict[Hashable, None] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def forget(self, key: Hashable) -> None:
        """Was not used after all."""
        self._kept.pop(key, None)

    def use(self, keys: Iterable[Hashable]) -> None:
        """Has just used these, the last one last."""
        kept = self._kept
        for key in keys:
            kept.pop(key, None)
            kept[key] = None
        while len(kept) > self.most:
            del kept[next(iter(kept))]
