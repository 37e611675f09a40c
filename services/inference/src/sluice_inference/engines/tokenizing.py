"""A model's own tokenizer, from its `tokenizer.json`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sluice_servicekit.errors import FailedPrecondition

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FILE = "tokenizer.json"


class LocalTokenizer:
    """Counts a model's tokens; loaded when it is first needed.

    Args:
        path: A `tokenizer.json`, or the folder that holds it.

    Raises:
        FailedPrecondition: there is no such file (`TOKENIZER_MISSING`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._path = path / _FILE if path.is_dir() else path
        if not self._path.is_file():
            message = (
                f"there is no {_FILE} at {path}: set the model server's tokenizer to one, or leave it out"
            )
            raise FailedPrecondition(message, reason="TOKENIZER_MISSING")
        self._tokenizer: Tokenizer | None = None
        self._loading = asyncio.Lock()
        self.special_tokens: tuple[str, ...] = ()
        """Once it is loaded."""

    async def load(self) -> None:
        """Loads it, once.

        Raises:
            FailedPrecondition: the file holds no tokenizer (`TOKENIZER_UNREADABLE`).
        """
        async with self._loading:
            if self._tokenizer is None:
                self._tokenizer = await asyncio.to_thread(self._read)
                added = self._tokenizer.get_added_tokens_decoder().values()
                contents = {token.content for token in added if token.special}
                # Of one or two characters are blanks and signs that stand in any text.
                self.special_tokens = tuple(sorted(each for each in contents if len(each.strip()) > 2))

    def count(self, text: str) -> int:
        """The tokens of a text; it must have been loaded. May be called from any thread."""
        if self._tokenizer is None:
            raise RuntimeError("the tokenizer has not been loaded")
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def _read(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._path))
        except Exception as error:  # it raises no narrower one
            message = f"{self._path} holds no tokenizer: {error}"
            raise FailedPrecondition(message, reason="TOKENIZER_UNREADABLE") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
