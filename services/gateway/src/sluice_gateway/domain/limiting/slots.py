"""How many runs of one scope go on in this replica, and how many it may have. Pure."""

from dataclasses import dataclass

#: The part of a limit that is held at once.
_BLOCK = 1 / 8


@dataclass(slots=True)
class Slots:
    """The slots of one scope."""

    scope: str
    limit: int
    held: int = 0
    """Slots that are this replica's."""
    in_use: int = 0
    peak: int = 0
    """The most in use since slots were last given back."""
    ask_again: float = 0.0

    @property
    def block(self) -> int:
        """Slots to ask for at once."""
        return max(1, int(self.limit * _BLOCK))

    @property
    def is_short(self) -> bool:
        """True where one more run needs another slot."""
        return self.in_use >= self.held and self.held < self.limit

    @property
    def is_full(self) -> bool:
        """True where no more may start."""
        return self.in_use >= min(self.held, self.limit)

    @property
    def spare(self) -> int:
        """Slots to keep though they are not in use: none where they are few, so that others find them at once."""
        return 0 if self.block == 1 else max(0, min(self.held, self.peak) - self.in_use)

    def take(self) -> None:
        """A run starts."""
        self.in_use += 1
        self.peak = max(self.peak, self.in_use)
