"""Files that hold a secret: made once, readable by their owner alone."""

import os
from pathlib import Path


def make_once(path: Path, content: bytes) -> None:
    """Makes the file where there is none, whole or not at all; of several that try at once one wins.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    try:
        os.link(partial, path)  # unlike a rename, this never replaces a secret that is there
    except FileExistsError:
        pass
    finally:
        partial.unlink()
