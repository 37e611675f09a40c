"""The embedding model's tokenizer; apart from the model, since cutting documents needs no more."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

#: What the model reads at most; [CLS] and [SEP] count.
MAX_TOKENS = 256
#: The same without them.
WINDOW = MAX_TOKENS - 2

ASSETS = Path(__file__).parent / "assets"


class TokenCounter:
    """Counts model tokens. Thread-safe."""

    def __init__(self) -> None:
        self._tokenizer = load_tokenizer(truncate=False)

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Model tokens in each text, without special tokens."""
        if not texts:
            return []
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]


def load_tokenizer(*, truncate: bool) -> Tokenizer:
    """The tokenizer; where asked, cut at what the model reads."""
    tokenizer = Tokenizer.from_file(str(ASSETS / "tokenizer.json"))
    tokenizer.no_padding()  # the file pads to 128
    if truncate:
        tokenizer.enable_truncation(MAX_TOKENS)
    else:
        tokenizer.no_truncation()
    return tokenizer
