"""A real OpenSearch: the one that OPENSEARCH_URL names, or a node of `make test-opensearch`'s own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]
_LIBRARIES = _REPOSITORY / ".cache" / "opensearch" / "lib"

URL_VARIABLE = "OPENSEARCH_URL"


def is_there() -> bool:
    """True where a node can be had."""
    return bool(os.environ.get(URL_VARIABLE)) or (_LIBRARIES.is_dir() and shutil.which("java") is not None)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The URL of a node; one of our own keeps its data in `folder` and ends with the block, or with this process."""
    if url := os.environ.get(URL_VARIABLE):
        yield url
        return
    command = ["java", "-Xmx512m", "-Dlog4j2.disable.jmx=true", "-cp", f"{_LIBRARIES}/*"]
    source = _REPOSITORY / "tests" / "opensearch" / "SearchNode.java"
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [*command, str(source), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as node,
    ):
        assert node.stdin is not None
        assert node.stdout is not None
        url = node.stdout.readline().strip()
        assert url.startswith("http"), (folder / "log").read_text()
        yield url
        node.stdin.close()
