"""Harmless prompts: stretches of the project's documentation."""

import random
from pathlib import Path

from sluice_minilm.tokenizing import load_tokenizer

_DOCS = Path(__file__).parents[2] / "docs"
#: Characters that a stretch may be longer than what is left of the documentation.
_TAIL = 65_536


class Texts:
    """Stretches of the documentation, each another."""

    def __init__(self) -> None:
        paths = sorted(_DOCS.rglob("*.md"))
        # The page on guardrails quotes attacks, and what is blocked is not read to its end.
        whole = " ".join(path.read_text(encoding="utf-8") for path in paths if path.stem != "guardrails")
        self._whole = whole + whole[:_TAIL]
        self._offsets = [end for _, end in load_tokenizer(truncate=False).encode(self._whole).offsets if end]
        self._chance = random.Random(0)

    def of_tokens(self, tokens: int, count: int) -> list[str]:
        """So many texts of so many tokens."""
        starts = [self._chance.randrange(len(self._offsets) - tokens) for _ in range(count)]
        return [self._whole[self._offsets[start] : self._offsets[start + tokens]] for start in starts]

    def of_characters(self, size: int, count: int) -> list[str]:
        """So many texts of so many characters."""
        starts = [self._chance.randrange(len(self._whole) - size) for _ in range(count)]
        return [self._whole[start : start + size] for start in starts]
